"""Program files: licence, generated files, markup, and whether Python parses."""
