"""Prompts: one file each (front matter and template), and their loader. Nothing here knows engines."""
