"""The counts of a text's lines: the rows that `lines.edit_lines` fills."""

from typing import Final

ROWS: Final = (
    # of the text before edits
    "lines",
    "bullets",
    "ellipsis_ends",
    "filled_lines",
    "repeated_lines",
    "repeated_line_characters",
    "paragraphs",
    "repeated_paragraphs",
    "repeated_paragraph_characters",
    "newlines",
    "boilerplate_lines",
    "text_lines",
    "parts",
    "prose_parts",
    # of the lines that the edits keep
    "kept_lines",
    "kept_characters",
    "kept_tokens",
    "kept_sentences",
    "kept_ends",
    "kept_short",
    "kept_repeated_characters",
    # of lines that C4's earlier edits leave
    "lorem_ipsum",
    "curly_brackets",
    "removed_parts",
    # lines that C4's edits take out; the number of an edit is the line's fate
    "removed_long_word",
    "removed_unpunctuated",
    "removed_few_words",
    "removed_javascript",
    "removed_policy",
    # lines that RefinedWeb's edits take out, likewise
    "removed_uppercase",
    "removed_numeric",
    "removed_counter",
    "removed_single_word",
    "removed_emptied",
)
COUNTS: Final = len(ROWS)
STAYS: Final = 0  # the fate of a line that no edit takes out

(LINES, BULLETS, ELLIPSIS_ENDS, FILLED_LINES, REPEATED_LINES, REPEATED_LINE_CHARACTERS) = range(6)
(
    PARAGRAPHS,
    REPEATED_PARAGRAPHS,
    REPEATED_PARAGRAPH_CHARACTERS,
    NEWLINES,
    BOILERPLATE_LINES,
    TEXT_LINES,
    PARTS,
    PROSE_PARTS,
) = range(6, 14)
(
    KEPT_LINES,
    KEPT_CHARACTERS,
    KEPT_TOKENS,
    KEPT_SENTENCES,
    KEPT_ENDS,
    KEPT_SHORT,
    KEPT_REPEATED_CHARACTERS,
) = range(14, 21)
(LOREM_IPSUM, CURLY_BRACKETS, REMOVED_PARTS) = range(21, 24)
(LONG_WORD, UNPUNCTUATED, FEW_WORDS, JAVASCRIPT, POLICY) = range(24, 29)
(UPPERCASE, NUMERIC, COUNTER, SINGLE_WORD, EMPTIED) = range(29, 34)
