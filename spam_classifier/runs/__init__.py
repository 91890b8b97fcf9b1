"""A training run's directory: where runs lie, how one is continued, how one is stopped."""
