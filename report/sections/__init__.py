"""What the parts of the page say: plain numbers and texts from a run's files, nothing drawn."""
