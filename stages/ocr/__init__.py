"""Scanned pages as documents, read by a model that takes images."""
