"""How one pass hands its rows to the next: exchange, streams, row groups."""
