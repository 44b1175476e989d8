"""Exact and near duplicates, out."""
