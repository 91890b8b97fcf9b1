"""Texts in, predictions and explanations out."""
