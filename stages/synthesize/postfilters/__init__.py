"""Post-filters: from a model's raw answer to clean text, or to the reason for dropping it.

A prompt names its post-filters, in order, in its front matter. They are part of the prompt
(Nemotron-CC, Su et al. 2024, arXiv 2412.02595, section 2.3). `chain` calls them. Each is a function
of a text and its `Context`. It returns the cleaned text or a `Rejection`. Filters are
deterministic: random draws use the row's seed.
"""

from corpusmill.stages.synthesize.postfilters.chain import (
    FILTERS,
    check,
    clean,
    outcome,
    quotes_passage,
    stage_of,
)
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt

__all__ = [
    "FILTERS",
    "Context",
    "Rejection",
    "Result",
    "check",
    "clean",
    "excerpt",
    "outcome",
    "quotes_passage",
    "stage_of",
]
