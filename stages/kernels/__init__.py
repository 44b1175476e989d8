"""Text kernels: compiled loops over the UTF-8 bytes of Arrow string buffers, so that no Python runs per word.

A kernel never imports Arrow and never raises: it reads `data` (uint8, the bytes of all strings) and `offsets` (int64, one more than
there are strings) and fills arrays that its caller made. Its module imports numba, so it is imported only where it is called.
"""
