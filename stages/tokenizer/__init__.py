"""Train a tokenizer, and load any Hugging Face tokenizer."""
