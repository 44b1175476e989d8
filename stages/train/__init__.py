"""The trainer as a stage."""
