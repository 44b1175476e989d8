"""Quality rules over measured statistics."""
