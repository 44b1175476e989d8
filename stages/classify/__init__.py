"""Quality scores, buckets and levels; training the scorers."""
