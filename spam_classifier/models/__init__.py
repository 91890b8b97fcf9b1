"""Batches in, logits out: the GPT-2 backbone, its checkpoints, the classifier. Knows nothing of corpora."""
