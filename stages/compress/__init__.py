"""Compression as stages."""
