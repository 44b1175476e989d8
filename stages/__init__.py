"""What happens to documents: one folder for each verb, its compiled kernels inside."""
