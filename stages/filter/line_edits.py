"""The line edits of C4 and of RefinedWeb: lines that are page furniture leave the text, and the
others stay as they are.

C4: Raffel et al. 2020 (JMLR 21/140), 2.2, and the data set's published code, which adds the longest
word, the policy phrases and the citation marks. C4 also drops every line that does not end in
terminal punctuation. FineWeb (arXiv:2406.17557) measured that this rule alone removes about 30 % of
the data, and turned it off. So it is off here. RefinedWeb: Penedo et al. 2023 (arXiv:2306.01116),
appendix G.2, as DCLM (arXiv:2406.11794) runs it. Blank lines stay, so paragraphs survive. Runs of
blank lines that removed lines would leave are shortened to one blank line.

`stages.filter.measure.lines` does the work.
"""

import functools
from typing import Final

import numpy as np
from corpusmill.manifests.settings import Settings
from numpy.typing import NDArray
from pydantic import NonNegativeInt

LOREM, JAVASCRIPT, POLICY, CART = 1, 2, 4, 8  # bits, as in stages.filter.measure.lines
# Each phrase, with the pair of its letters that is rarest in English text. `look_over` (in
# stages.filter.measure.furniture) finds lines with four letters in a row that are rarer still. In
# these lines the kernel looks for the pairs. Both are also written into the kernel's code.
PHRASES: Final = (
    ("lorem ipsum", "ps", LOREM),
    ("javascript", "va", JAVASCRIPT),
    ("terms of use", "ms", POLICY),
    ("privacy policy", "cy", POLICY),
    ("cookie policy", "ki", POLICY),
    ("uses cookies", "ki", POLICY),
    ("use of cookies", "ki", POLICY),
    ("use cookies", "ki", POLICY),
    ("items in cart", "ms", CART),
)


class LineEdits(Settings):
    """Which lines go. 0 switches a number off."""

    minimum_words: NonNegativeInt = 3
    """Lines of fewer words (between white space) go (C4: 3)."""
    short_sentences: bool = True
    """Lines of fewer than `minimum_words` words go even if they end as sentences do: in terminal
    punctuation, a quote, a comma or a colon (C4).
    """
    longest_word: NonNegativeInt = 1000
    """Lines with a word of more characters go (C4: 1,000)."""
    terminal_punctuation: bool = False
    """Lines that do not end in terminal punctuation go. FineWeb turned this rule of C4 off."""
    javascript: bool = True
    """Lines that speak of JavaScript go."""
    policy: bool = True
    """Lines that speak of a site's policies go."""
    longest_notice: NonNegativeInt = 0
    """A line of more words is no notice. It stays even if it speaks of JavaScript or policies. A
    line about JavaScript without a word of a notice, such as `enable` or `browser`, stays at any
    length. 0 (C4): no line stays for these reasons.
    """
    citations: bool = True
    """Marks such as [12] and [edit] go; the line stays."""
    brackets_in_code: bool = True
    """Marks go even where they look like code: [], [0], [1998], and numbers in a line with `=`,
    beside `(`, or before `;` or `.name` (C4).
    """

    @property
    def phrases(self) -> int:
        return (JAVASCRIPT if self.javascript else 0) | (POLICY if self.policy else 0)


NO_EDITS: Final = LineEdits(
    minimum_words=0, longest_word=0, javascript=False, policy=False, citations=False
)


@functools.lru_cache(maxsize=1)
def phrase_tables() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The phrases for the kernel: their bytes; and by phrase its begin, its size, the place of the
    pair's second letter, and its bit.
    """
    data = "".join(phrase for phrase, _, _ in PHRASES).encode()
    table, begin = np.zeros((4, len(PHRASES)), np.int32), 0
    for index, (phrase, pair, bit) in enumerate(PHRASES):
        table[:, index] = begin, len(phrase), phrase.index(pair) + 1, bit
        begin += len(phrase)
    return np.frombuffer(data, np.uint8), table
