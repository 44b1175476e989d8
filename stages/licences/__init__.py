"""Licences: their names, and which of them meet an expression."""
