"""Scripts that made the shipped models and samples. They are not part of the wheel."""
