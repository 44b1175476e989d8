"""Measure texts for the filter rules: compiled kernels over the UTF-8 bytes of string columns.

`stages.filter.measuring` is the entry. `stages.filter.kernel_calls` runs these files over blocks of
texts, in this order:

1. `structure` finds fences, tables, formulas, headings and lists; `line_kinds` says what kind of
   line a line is alone. `view` leaves their marks out, and code, tables and formulas if they are
   set apart; `code_lines` counts the code.
2. `marks` compares all bytes, 64 at a time, and finds parts (between white space) and lines.
3. `parts` hashes parts and lines. It lists the hard parts: those that are no plain word.
4. `cut` cuts the hard parts into tokens by the rules in `affixes` and the words in `english`.
   `token_kinds` classifies the tokens, and `known_parts` remembers parts that were cut before.
5. `tokens` counts tokens, words and sentences. `ngrams` counts repeated runs of tokens.
6. `verse` finds lines that no edit may touch. `lines` measures lines (`line_repeats`, `prose`), and
   decides by the edits (`line_fates`, `furniture`, `citations`) which stay. `line_ends` and
   `line_bytes` look at single lines, `line_counts` names the counts. `cutting` writes what stays,
   and lists what goes.

`urls` stands alone: it checks URLs for block lists, with `url_hashes`. All share `characters`,
`utf8`, `token_hash` and `wide_bytes`. A token is always one of spaCy's tokens.
"""
