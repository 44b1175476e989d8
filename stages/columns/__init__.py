"""Arrow columns as arrays: buffers for kernels, columns set in tables, and how kernels are compiled.

A kernel is a compiled loop over the UTF-8 bytes of an Arrow string buffer, so that no Python runs per word. It reads
`data` (uint8, the bytes of all strings) and `offsets` (int64, one more than there are strings) and fills arrays that its
caller made. It never imports Arrow and never raises.
"""
