"""Passages that were said before, out."""
