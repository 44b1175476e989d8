"""From the bytes of an HTML page to blocks of text with features: compiled kernels, no tree.

1. `page` holds the data of a page: its text, its elements, its blocks. `names` has the tables of
   tags, attributes and words.
2. `blocks` walks through the page once, tag by tag. On the way it uses `tags` (names, attributes,
   comments), `attribute_values` (what they say), `nesting` (which tags close which), `open_tags`
   and `close_tags` (the stack), `text` (white space, formulas) and `entities` (character
   references).
3. `block_text` measures the words of each block, with `character_kinds`.
4. `block_places` describes where each block stands: neighbours, headings, the elements around it
   (`element_totals`).
5. `trees` scores each block's features with a forest of decision trees.
   `stages.extract.main_content` then chooses.

All of them use `hashing`, which makes words into numbers, and `search`, which finds a byte.
"""
