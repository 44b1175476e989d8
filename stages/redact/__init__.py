"""Personal data in texts: found, counted by kind, and replaced by tags."""
