"""Token shards for the trainer."""
