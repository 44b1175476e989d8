"""From texts to MinHash signatures and band keys: compiled kernels."""
