"""Measure texts for the filter rules: compiled kernels over the UTF-8 bytes of string columns.

`stages.filter.measuring` is the entry. `stages.filter.kernel_calls` runs these files over blocks of
texts, in this order:

1. `marks` compares all bytes, 64 at a time, and finds parts (between white space) and lines.
2. `parts` hashes parts and lines. It lists the hard parts: those that are no plain word.
3. `cut` cuts the hard parts into tokens by the rules in `affixes` and the words in `english`.
   `token_kinds` classifies the tokens, and `known_parts` remembers parts that were cut before.
4. `tokens` counts tokens, words and sentences. `ngrams` counts repeated runs of tokens.
5. `lines` decides by the edits (`furniture`) which lines stay, counts (`line_counts`), and writes
   the lines that stay (`copying`).

`urls` stands alone: it checks URLs for block lists, with `url_hashes`. All share `characters`,
`utf8`, `token_hash` and `wide_bytes`. A token is always one of spaCy's tokens.
"""
