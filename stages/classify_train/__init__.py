"""Train the quality scorers."""
