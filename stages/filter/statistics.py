"""The statistics that rules may look at: names, column types and meanings.

A **part** is text between white space. spaCy's English tokenizer cuts parts into **tokens**
(`don't` is `do` and `n't`, `word,` is `word` and `,`). A **word** is a token that is not all
punctuation. A **line** ends at a line feed. A **paragraph** is a run of lines without an empty line
between them. Lengths are in characters (Unicode code points). A ratio over nothing is 0.

The definitions are datatrove's if datatrove has the rule. The statistics of the first list describe
the text before edits. Those of the second list describe the lines that the line edits leave (all
lines, if no family edits), as in FineWeb's chain.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

PREFIX = "stat_"
Measured = Mapping[str, NDArray]
Counts = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Statistic:
    """name: as rules write it. type: of its column. meaning: one line for people. compute: its
    values from the kernels' counts.
    """

    name: str
    type: pa.DataType
    meaning: str
    compute: Callable[[Counts], NDArray]

    @property
    def field(self) -> pa.Field:
        return pa.field(PREFIX + self.name, self.type)


def _count(name: str, meaning: str, counted: str = "") -> Statistic:
    return Statistic(name, pa.int32(), meaning, lambda counts: counts[counted or name])


def _ratio(name: str, meaning: str, part: str, whole: str) -> Statistic:
    def compute(counts: Counts) -> NDArray:
        return counts[part] / np.maximum(counts[whole], 1)  # if the whole is 0, so is the part

    return Statistic(name, pa.float32(), meaning, compute)


AS_IT_CAME: tuple[Statistic, ...] = (
    _count("characters", "characters of the text"),
    _count("parts", "parts, those set apart too"),
    _count("tokens", "tokens"),
    _count("words", "words, those set apart too"),
    _count("apart_words", "parts with a letter or a digit in what is set apart"),
    _count("apart_lines", "lines of code, tables and formulas that are set apart"),
    _count("prose_parts", "parts in lines of prose, and apart_words"),
    _ratio("prose_part_ratio", "prose_parts / parts", "prose_parts", "parts"),
    _ratio("code_line_length", "characters of code / its lines", "code_characters", "code_lines"),
    _ratio("code_part_length", "characters of code / its parts", "code_characters", "code_parts"),
    _ratio("code_digit_ratio", "digits of code / its characters", "code_digits", "code_characters"),
    _ratio(
        "timed_code_line_ratio",
        "lines of code with a time of day (12:30:59) / its lines",
        "timed_code_lines",
        "code_lines",
    ),
    _ratio("mean_word_length", "characters in words / words", "word_characters", "judged_words"),
    _ratio("mean_part_length", "characters in parts / parts", "part_characters", "judged_parts"),
    _count("longest_part", "characters of the longest part"),
    _ratio(
        "alphabetic_token_ratio", "tokens with a letter / tokens", "alphabetic_tokens", "tokens"
    ),
    _ratio(
        "alphabetic_part_ratio", "parts with a letter / parts", "alphabetic_parts", "judged_parts"
    ),
    _ratio("hash_ratio", "hash signs / tokens", "hash_signs", "tokens"),
    _ratio(
        "ellipsis_ratio",
        "ellipses (the character, or three full stops) / tokens",
        "ellipses",
        "tokens",
    ),
    _count("stop_words", "how many of the stop words occur as tokens"),
    _count("lines", "lines, empty ones too, but for one after a last line feed"),
    _ratio("bullet_line_ratio", "lines that begin with • or - / lines", "bullets", "lines"),
    _ratio(
        "ellipsis_line_ratio", "lines that end in an ellipsis / lines", "ellipsis_ends", "lines"
    ),
    _ratio(
        "duplicate_line_ratio",
        "lines that occurred before / lines that are not empty",
        "repeated_lines",
        "filled_lines",
    ),
    _ratio(
        "duplicate_line_character_ratio",
        "characters of lines that occurred before / characters",
        "repeated_line_characters",
        "characters",
    ),
    _ratio(
        "duplicate_paragraph_ratio",
        "paragraphs that occurred before / paragraphs",
        "repeated_paragraphs",
        "paragraphs",
    ),
    _ratio(
        "duplicate_paragraph_character_ratio",
        "characters of paragraphs that occurred before / characters",
        "repeated_paragraph_characters",
        "characters",
    ),
    *(
        _ratio(
            f"top_{n}_gram_ratio",
            f"characters in the most frequent run of {n} tokens / characters",
            f"top_{n}",
            "characters",
        )
        for n in (2, 3, 4)
    ),
    *(
        _ratio(
            f"duplicate_{n}_gram_ratio",
            f"characters in runs of {n} tokens that occurred before / characters",
            f"duplicate_{n}",
            "characters",
        )
        for n in (5, 6, 7, 8, 9, 10)
    ),
    _ratio("whitespace_ratio", "white space and controls / characters", "whitespace", "characters"),
    _ratio("digit_ratio", "numbers / characters", "digits", "characters"),
    _ratio(
        "symbol_character_ratio",
        "what is no letter, number or white space / characters",
        "symbols",
        "characters",
    ),
    _ratio("uppercase_ratio", "capitals / letters", "uppercase", "letters"),
    _ratio("parenthesis_ratio", "round brackets / characters", "parentheses", "characters"),
    _ratio(
        "url_ratio",
        "characters in parts that begin with http:// or https:// / characters",
        "url_characters",
        "characters",
    ),
    _ratio(
        "boilerplate_line_ratio",
        "lines with a policy phrase or lorem ipsum / lines with a part",
        "boilerplate_lines",
        "text_lines",
    ),
)
EDITED: tuple[Statistic, ...] = (
    _count("kept_lines", "lines with a part that stay"),
    _count("sentences", "sentences in them", "kept_sentences"),
    _ratio(
        "punctuation_line_ratio",
        "of them those that end in terminal punctuation",
        "kept_ends",
        "kept_lines",
    ),
    _ratio(
        "short_line_ratio", "of them those of at most 30 characters", "kept_short", "kept_lines"
    ),
    _ratio(
        "kept_duplicate_line_character_ratio",
        "characters of those that occurred before / characters in them",
        "kept_repeated_characters",
        "kept_characters",
    ),
    _ratio(
        "newline_ratio",
        "line feeds between them (without edits: in the text) / tokens in them",
        "newlines",
        "kept_tokens",
    ),
    _count("lorem_ipsum", "lines with 'lorem ipsum', of those that C4 looks at"),
    _count("curly_brackets", "lines with an opening curly bracket, of those that C4 looks at"),
    _count("removed_lines", "lines that the edits took out"),
    _ratio(
        "removed_part_ratio",
        "parts that RefinedWeb's edits took out / parts",
        "removed_parts",
        "judged_parts",
    ),
    _count("removed_long_word", "lines taken out for a part that is too long"),
    _count("removed_unpunctuated", "for want of terminal punctuation"),
    _count("removed_few_words", "for too few parts"),
    _count("removed_javascript", "for the word JavaScript"),
    _count("removed_policy", "for a policy phrase"),
    _count("removed_uppercase", "for capitals"),
    _count("removed_numeric", "for being all digits"),
    _count("removed_counter", "for being a counter (`3 likes`)"),
    _count("removed_single_word", "for being a single part"),
    _count("removed_emptied", "for holding nothing but a call to act"),
)
STATISTICS: tuple[Statistic, ...] = (*AS_IT_CAME, *EDITED)
NAMES: tuple[str, ...] = tuple(statistic.name for statistic in STATISTICS)


def fields() -> tuple[pa.Field, ...]:
    """The columns of all statistics."""
    return tuple(statistic.field for statistic in STATISTICS)
