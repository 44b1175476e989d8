"""From the bytes of an HTML page to judged blocks of text: compiled kernels, no tree."""
