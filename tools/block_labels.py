"""Which blocks of a page are main content: labels to learn from.

**By a reference** (`by_reference`): a block's words stand in the reference text, in sequence.

**By vote** (`by_vote`), for a page without a reference: a forest that learned from references, and
trafilatura (Barbaresi, ACL 2021, Apache-2.0), which knows the looks of articles, must agree. Where
the forest is sure, it may overrule trafilatura. Where the two differ and the forest is not sure of
either, the block teaches nothing. This is co-training: two views of a page that fail in different
places (Blum and Mitchell, COLT 1998).
"""

from collections.abc import Sequence

import numpy as np
from corpusmill.tools.gold_pages import words
from numpy.typing import NDArray

GRAM = 4  # words in sequence that make a match
NEAR = 4  # blocks on each side that count as close
LIKELY = 0.2  # the lowest probability at which the forest follows trafilatura
SURE = 0.9  # the probability at which it overrules trafilatura
SURE_AGAIN = 0.8  # the same for a forest that learned from a vote
FEWEST_WORDS = 80  # of main content, for a page to teach anything
FEWEST_SHARED = 0.5  # share of trafilatura's text that the forest must find likely

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float32]


def by_reference(texts: Sequence[str], reference: str) -> Booleans:
    """Whether at least half of each block's words stand in the reference in runs of GRAM words.

    A block of fewer words must be in such a run together with the words before or after it in the
    page. Or it must be a line of the reference, with a close block that is in the reference too. So
    `Home` in a menu is not the `home` of a sentence.
    """
    wanted = words(reference)
    grams = [
        {tuple(wanted[i : i + size]) for i in range(len(wanted) - size + 1)}
        for size in range(GRAM + 1)
    ]
    lines = {tuple(words(line)) for line in reference.split("\n")}
    blocks = [words(text) for text in texts]
    covered = np.array([_coverage(block, grams[GRAM]) for block in blocks])
    found = covered >= 0.5
    for number, block in enumerate(blocks):
        if not 0 < len(block) < GRAM or tuple(block) not in grams[len(block)]:
            continue
        missing = GRAM - len(block)
        before = [word for other in blocks[max(number - 3, 0) : number] for word in other][
            -missing:
        ]
        after = [word for other in blocks[number + 1 : number + 4] for word in other][:missing]
        in_sequence = tuple(before + block) in grams[GRAM] or tuple(block + after) in grams[GRAM]
        near = covered[max(number - NEAR, 0) : number + NEAR + 1].max() > 0.5
        found[number] = in_sequence or (near and tuple(block) in lines)
    return found


def by_vote(
    peer: Booleans, scores: Floats, sizes: Floats, in_comments: Booleans
) -> tuple[Booleans, Booleans] | None:
    """Labels of a page's blocks, and which of them teach. None if the page teaches nothing.

    peer: what trafilatura took. scores: the probabilities of a forest that learned from references
    only. sizes: words. in_comments: the block stands in an element that is named after comments.
    There the forest overrules nobody.
    """
    if not _useful(peer, scores, sizes):
        return None
    overruled = (scores > SURE) & ~peer & ~in_comments
    doubtful = peer & (scores > LIKELY) & (scores < LIKELY + 0.1)
    return peer & (scores > LIKELY), ~(overruled | doubtful)


def by_second_vote(
    peer: Booleans, scores: Floats, sizes: Floats, chosen: Booleans
) -> tuple[Booleans, Booleans] | None:
    """The same, by the probabilities of a forest that learned from a vote. It may overrule.

    chosen: the blocks that this forest takes.
    """
    labels = chosen & (peer | (scores > SURE_AGAIN))
    if not _useful(peer, scores, sizes) or float((sizes * labels).sum()) < FEWEST_WORDS:
        return None
    return labels, ~(~peer & (scores > SURE_AGAIN - 0.1) & (scores < SURE_AGAIN + 0.1))


def _useful(peer: Booleans, scores: Floats, sizes: Floats) -> bool:
    """Whether trafilatura found a text on the page, and the forest finds it likely too."""
    total = float((sizes * peer).sum())
    return total >= FEWEST_WORDS and float((sizes * scores * peer).sum()) >= FEWEST_SHARED * total


def _coverage(block: list[str], grams: set[tuple[str, ...]]) -> float:
    if len(block) < GRAM:
        return 0.0
    hit = np.zeros(len(block), np.bool_)
    for begin in range(len(block) - GRAM + 1):
        if tuple(block[begin : begin + GRAM]) in grams:
            hit[begin : begin + GRAM] = True
    return float(hit.mean())
