"""Files in, labels out."""
