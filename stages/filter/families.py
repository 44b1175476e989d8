"""The published families of rules: statistic, condition, and the source of each threshold.

A row reads: reason name, statistic, comparison, threshold. The document is dropped if the
comparison holds. For the four families that datatrove has, the statistics follow the definitions of
its filters. So users of datatrove find the rules that they know.
"""

from collections.abc import Mapping
from typing import Any, Final

from corpusmill.stages.filter.rules import Rule

GOPHER_QUALITY = "Rae et al. 2021 (arXiv:2112.11446), appendix A.1.1"
GOPHER_REPETITION = "Rae et al. 2021 (arXiv:2112.11446), appendix A.1.1, table A1"
C4 = "Raffel et al. 2020 (JMLR 21/140), 2.2"
FINEWEB = "Penedo et al. 2024 (arXiv:2406.17557)"
REFINEDWEB = (
    "Penedo et al. 2023 (arXiv:2306.01116), appendix G.2; Li et al. 2024 (arXiv:2406.11794)"
)
NEMOTRON = "NeMo Curator, English heuristic filters of Nemotron-CC (arXiv:2412.02595)"

CORPUSMILL = "benchmarks/filter_quality.py"

# FineWeb's chain after its language filter.
DEFAULT: Final = ("gopher_repetition", "gopher_quality", "c4", "fineweb")


def _rules(family: str, citation: str, *rows: tuple[str, str, Any, float]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            family=family,
            citation=citation,
            name=name,
            statistic=statistic,
            comparison=comparison,
            threshold=threshold,
        )
        for name, statistic, comparison, threshold in rows
    )


_TOP_NGRAMS = tuple(
    (f"top_{n}_gram", f"top_{n}_gram_ratio", ">", limit)
    for n, limit in ((2, 0.20), (3, 0.18), (4, 0.16))
)
_DUPLICATE_NGRAMS = tuple(
    (f"duplicate_{n}_grams", f"duplicate_{n}_gram_ratio", ">", limit)
    for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
)

FAMILIES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "corpusmill": _rules(
        "corpusmill",
        CORPUSMILL,
        # Gopher's rule over parts: a bracket or a comma beside a word is no word without a letter.
        # Its 0.8 drops lists of references and sums.
        ("few_alphabetic_parts", "alphabetic_part_ratio", "<", 0.75),
        # Menus, lists of titles and teasers have few lines of prose.
        ("few_prose_parts", "prose_parts", "<", 80),
        ("little_prose", "prose_part_ratio", "<", 0.5),
        # A page of code: base64 and hashes, minified scripts, dumps of bytes, logs.
        ("long_code_parts", "code_part_length", ">", 30),
        ("long_code_lines", "code_line_length", ">", 500),
        ("many_code_digits", "code_digit_ratio", ">", 0.35),
        ("log_lines", "timed_code_line_ratio", ">", 0.5),
        # Not in the default: they drop release notes, lists of names and tables of results.
        ("many_capitals", "uppercase_ratio", ">", 0.12),
        ("many_digits", "digit_ratio", ">", 0.08),
    ),
    "gopher_repetition": _rules(
        "gopher_repetition",
        GOPHER_REPETITION,
        ("duplicate_paragraphs", "duplicate_paragraph_ratio", ">", 0.3),
        ("duplicate_paragraph_characters", "duplicate_paragraph_character_ratio", ">", 0.2),
        ("duplicate_lines", "duplicate_line_ratio", ">", 0.3),
        ("duplicate_line_characters", "duplicate_line_character_ratio", ">", 0.2),
        *_TOP_NGRAMS,
        *_DUPLICATE_NGRAMS,
    ),
    "gopher_quality": _rules(
        "gopher_quality",
        GOPHER_QUALITY,
        ("few_words", "words", "<", 50),
        ("many_words", "words", ">", 100_000),
        ("short_words", "mean_word_length", "<", 3),
        ("long_words", "mean_word_length", ">", 10),
        ("hash_signs", "hash_ratio", ">", 0.1),
        ("ellipses", "ellipsis_ratio", ">", 0.1),
        ("bullet_lines", "bullet_line_ratio", ">", 0.9),
        ("ellipsis_lines", "ellipsis_line_ratio", ">", 0.3),
        ("few_alphabetic_words", "alphabetic_token_ratio", "<", 0.8),
        ("few_stop_words", "stop_words", "<", 2),
    ),
    "c4": _rules(  # and the line edits of C4
        "c4",
        C4,
        ("lorem_ipsum", "lorem_ipsum", ">", 0),
        ("curly_bracket", "curly_brackets", ">", 0),
        ("few_sentences", "sentences", "<", 5),
    ),
    "fineweb": _rules(
        "fineweb",
        FINEWEB,
        ("few_punctuated_lines", "punctuation_line_ratio", "<", 0.12),
        ("short_lines", "short_line_ratio", ">", 0.67),
        # FineWeb 2 has 0.1 here.
        ("duplicate_line_characters", "kept_duplicate_line_character_ratio", ">", 0.01),
        ("newlines", "newline_ratio", ">", 0.3),
    ),
    "refinedweb": _rules(  # and the line edits of RefinedWeb
        "refinedweb",
        REFINEDWEB,
        ("many_removed_words", "removed_part_ratio", ">", 0.05),
    ),
    "nemotron": _rules(
        "nemotron",
        NEMOTRON,
        ("symbols", "symbol_character_ratio", ">", 0.25),
        ("hash_signs", "hash_ratio", ">", 0.1),
        ("ellipses", "ellipsis_ratio", ">", 0.1),
        ("digits", "digit_ratio", ">", 0.15),
        ("urls", "url_ratio", ">", 0.2),
        ("white_space", "whitespace_ratio", ">", 0.25),
        ("parentheses", "parenthesis_ratio", ">", 0.1),
        ("boilerplate", "boilerplate_line_ratio", ">", 0.4),
        ("few_words", "parts", "<", 50),
        ("many_words", "parts", ">", 100_000),
        # In the paper: "sentences without an end mark" over 0.85.
        ("few_punctuated_lines", "punctuation_line_ratio", "<", 0.15),
        ("few_alphabetic_words", "alphabetic_part_ratio", "<", 0.8),
        ("few_common_words", "stop_words", "<", 2),
        ("short_words", "mean_part_length", "<", 3),
        ("long_words", "mean_part_length", ">", 10),
        ("longest_word", "longest_part", ">", 1000),
        ("bullet_lines", "bullet_line_ratio", ">", 0.9),
        ("ellipsis_lines", "ellipsis_line_ratio", ">", 0.3),
        ("duplicate_lines", "duplicate_line_ratio", ">", 0.3),
        ("duplicate_paragraphs", "duplicate_paragraph_ratio", ">", 0.3),
        ("duplicate_line_characters", "duplicate_line_character_ratio", ">", 0.2),
        ("duplicate_paragraph_characters", "duplicate_paragraph_character_ratio", ">", 0.2),
        *_TOP_NGRAMS,
        *_DUPLICATE_NGRAMS,
    ),
}
