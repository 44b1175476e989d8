"""What a prompt about two documents shows of them: the beginning of each, within one budget.

A page says at its beginning what it is about, and a linked page says there what the link is for.
So the two beginnings are asked about, once, and what lies behind them is not.
"""

from collections.abc import Callable, Sequence

from corpusmill.stages.engines.chat import ChatTokenizer
from corpusmill.stages.synthesize.segments import Segment, segment

_MOST_PER_TOKEN = 20  # characters of a token, of which a text is looked at


def pair_segments(
    texts: Sequence[str],
    room: int,
    tokenizer: ChatTokenizer,
    excess: Callable[[str, str], int],
) -> list[Segment]:
    """The first segments of the two texts.

    room: tokens for both. Each has half of it, and what the other one does not need. excess: how
    many tokens too many the finished prompt of two segments has. Then both are cut shorter.
    """
    texts = [text[: _MOST_PER_TOKEN * room] for text in texts]
    starts = [tokenizer.starts(text) for text in texts]
    while True:
        sizes = [len(each) for each in starts]
        second = max(room // 2, room - sizes[0])
        budgets = [max(1, room - min(sizes[1], second)), max(1, second)]
        pieces = [
            _beginning(text, each, budget, tokenizer)
            for text, each, budget in zip(texts, starts, budgets, strict=True)
        ]
        first, second_text = (
            text[piece.start : piece.end] for text, piece in zip(texts, pieces, strict=True)
        )
        over = excess(first, second_text)
        if over <= 0 or room <= 2:
            return pieces
        room = max(2, min(room, sum(piece.n_tokens for piece in pieces)) - over)


def _beginning(text: str, starts: Sequence[int], budget: int, tokenizer: ChatTokenizer) -> Segment:
    """The first segment of a text with at most so many tokens, cut where `segment` cuts."""
    # Of a longer text so much that it is cut at an end of a line or sentence, not at the budget.
    end = starts[2 * budget] if len(starts) > 2 * budget else len(text)
    pieces = segment(text[:end], budget, tokenizer)
    return pieces[0] if pieces else Segment(0, 0, 0)
