"""What stages and kernels share about Arrow columns.

- `strings`: string columns as arrays of bytes and offsets, and back.
- `table`: setting a column.
- `cuts`: the record of what editing stages cut out of texts, and its undo.
- `word_rule`: what a word is to deduplication.
- `compiled`: `njit` for all kernels. `kernel_cache`: where the compiled code is kept.

A kernel is a compiled loop over the UTF-8 bytes of a string column, so that no Python runs per
word. It reads `data` (uint8, the bytes of all strings) and `offsets` (int64, one more than there
are strings). It fills arrays that its caller made. It never imports Arrow and never raises.
"""
