"""Measuring a language model: task files, items, scores, and their summary."""
