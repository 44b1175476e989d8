"""From raw files to documents: HTML to text, language."""
