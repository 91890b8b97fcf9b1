"""A trained classifier put to work."""
