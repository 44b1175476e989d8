"""Quality scores, buckets and levels."""
