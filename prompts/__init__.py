"""Prompts: one file each (front matter and template), and their loader. It knows no engines."""
