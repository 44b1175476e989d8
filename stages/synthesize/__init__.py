"""Rephrasing and expanding documents with a language model."""
