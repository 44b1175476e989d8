"""Small real corpora that ship with the tool, for the demo recipe, the documentation and the tests; see README.md for their sources."""
