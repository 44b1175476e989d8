"""Grade documents with a language model."""
