"""Find evaluation items in documents, and take them out."""
