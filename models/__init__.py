"""Models that ship with the tool, and the scripts that made them."""
