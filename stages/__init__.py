"""What happens to documents: one file per stage, text kernels in folders of their own."""
