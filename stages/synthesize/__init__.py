"""Rewrite documents with a language model."""
