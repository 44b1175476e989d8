"""Measure texts for the filter rules: compiled kernels over the UTF-8 bytes of string columns.

`texts` is the entry; `kernels` runs these over blocks of texts, in this order:

1. `marks` compares all bytes, 64 at a time, and finds parts (between white space) and lines.
2. `parts` hashes parts and lines. It lists the hard parts: those that are no plain word.
3. `cut` cuts the hard parts into tokens by the rules in `affixes` and the words in `english`.
   `token_kinds` says what the tokens are, `known_parts` remembers what was cut before.
4. `tokens` counts tokens, words and sentences. `ngrams` counts repeated runs of tokens.
5. `lines` judges each line by the edits (`furniture`), counts (`line_counts`) and writes what stays
   (`copying`).

`urls` stands alone: it sifts URLs for block lists. `characters`, `utf8`, `token_hash`,
`wide_bytes`: what they share.
"""
