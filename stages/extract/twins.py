"""Parts of a page that stand twice, one directly behind the other, are written once.

Pages hold a part once for wide screens and once for narrow ones, and style sheets that we do not
have show one of the two. Carousels repeat their slides. A part is a run of blocks. What stands
again further down stays: a refrain, or a line of a dialogue.
"""

import numpy as np
from corpusmill.stages.extract.page.page import BEGIN, END, PREFORMATTED, ROW
from numpy.typing import NDArray

LEAST_WORDS = 8  # of a part: shorter ones are said twice on purpose
MOST_BLOCKS = 30  # of a part


def written_once(
    chosen: NDArray[np.bool_],
    text: bytes,
    blocks: NDArray[np.int32],
    words: NDArray[np.floating],
) -> NDArray[np.bool_]:
    """The chosen blocks without parts that stand directly behind an equal part.

    text, blocks: of the page. words: of each block. Code and rows of tables are left as they are.
    The time is linear in the number of blocks.
    """
    places = np.flatnonzero(chosen)
    ends = zip(blocks[places, BEGIN].tolist(), blocks[places, END].tolist(), strict=True)
    texts = [text[begin:end].strip() for begin, end in ends]
    if len(set(texts)) == len(texts):
        return chosen
    fixed = (blocks[places, PREFORMATTED] != 0) | (blocks[places, ROW] != 0)
    result = chosen.copy()
    kept: list[int] = []
    at = 0
    while at < len(texts):
        size = _size_of_twin(texts, fixed, words[places], kept, at)
        if size:
            result[places[at : at + size]] = False
            at += size
        else:
            kept.append(at)
            at += 1
    return result


def _size_of_twin(
    texts: list[bytes],
    fixed: NDArray[np.bool_],
    words: NDArray[np.floating],
    kept: list[int],
    at: int,
) -> int:
    """How many blocks from `at` on repeat as many at the end of `kept`; 0 if none do."""
    for size in range(1, min(MOST_BLOCKS, len(kept), len(texts) - at) + 1):
        part = kept[-size:]
        if (
            texts[part[0]] == texts[at]
            and [texts[place] for place in part] == texts[at : at + size]
            and words[part].sum() >= LEAST_WORDS
            and not fixed[part].any()
            and not fixed[at : at + size].any()
        ):
            return size
    return 0
