"""A trained run for other tools."""
