"""Mix corpora by weights."""
