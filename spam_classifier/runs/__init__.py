"""A run directory as data: find it, check its checkpoints, read its settings and figures."""
