"""A run's files as the report reads them: manifests and accounts whole, rows by samples."""
