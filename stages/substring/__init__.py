"""Cut passages that occurred before."""
