"""From a suffix array to the passages that are cut: compiled kernels."""
