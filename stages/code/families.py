"""The rules for program files: statistic, condition, source of the threshold.

A row reads: reason name, statistic, comparison, threshold. A file is dropped if the comparison
holds. The first rule that holds is the reason.
"""

from typing import Any, Final

from corpusmill.stages.filter.rules import Rule

FAMILY: Final = "code"
STACK = "Kocetkov et al. 2022 (arXiv:2211.15533)"
CODEX = "Chen et al. 2021 (arXiv:2107.03374), 3.1"
CORPUSMILL = "docs/code.md"

_ROWS: tuple[tuple[str, str, Any, float, str], ...] = (
    ("null_bytes", "null_bytes", ">", 0, CORPUSMILL),
    ("no_licence", "licensed", "==", 0, STACK),
    ("not_permissive", "permissive", "==", 0, STACK),
    ("lock_file", "lock_file", ">", 0, CORPUSMILL),
    ("generated", "generated", ">", 0, CODEX),
    ("long_line", "longest_line", ">", 1000, CODEX),
    ("long_lines", "mean_line_length", ">", 100, CODEX),
    ("few_alphanumeric", "alphanumeric_ratio", "<", 0.25, STACK),
    ("much_markup", "markup_ratio", ">", 0.6, CORPUSMILL),
    ("does_not_parse", "syntax_errors", ">", 0, CORPUSMILL),
)
RULES: Final = tuple(
    Rule(
        family=FAMILY,
        name=name,
        statistic=statistic,
        comparison=comparison,
        threshold=threshold,
        citation=citation,
    )
    for name, statistic, comparison, threshold, citation in _ROWS
)
