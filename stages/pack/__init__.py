"""Tokenizers and token shards."""
