"""Messages in, batches out: corpora, splits, encoding. Knows nothing of models."""
