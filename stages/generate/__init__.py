"""`corpusmill generate`: text from a model, at the terminal or for a file of prompts."""
