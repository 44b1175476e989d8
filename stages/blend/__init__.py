"""Corpora mixed by weights."""
