"""Figures, pictures and tables of a run, and its report."""
