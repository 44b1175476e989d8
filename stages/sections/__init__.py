"""Sections of papers and books that are cut by their headings."""
