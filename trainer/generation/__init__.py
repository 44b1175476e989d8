"""Text from a hybrid model: decoding with a memory, many prompts at a time."""
