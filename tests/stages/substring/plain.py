"""The rule of `stages.substring.settings` in slow, plain Python: a dictionary of every window."""

from collections.abc import Iterator, Sequence

Span = tuple[int, int]


def plain_spans(
    texts: Sequence[str],
    length: int,
    own_repeats: bool = False,
    bridge: int = 0,
    min_characters: int = 0,
    max_removed_share: float = 1.0,
) -> list[list[Span] | None]:
    """The spans of bytes to cut from each text, in whole characters; None for a text that is
    dropped. The texts are in reading order.
    """
    seen: set[bytes] = set()
    found: list[list[Span] | None] = []
    for text in texts:
        data = text.encode()
        windows = [data[place : place + length] for place in range(len(data) - length + 1)]
        own: set[bytes] = set()
        covered = [False] * len(data)
        for place, window in enumerate(windows):
            if window in seen or (own_repeats and window in own):
                covered[place : place + length] = [True] * length
            own.add(window)
        spans = [
            span
            for span in _bridged(_in_characters(data, covered), bridge)
            if span[1] - span[0] >= length
        ]
        rest = b"".join(
            data[end:begin]
            for (_, end), (begin, _) in zip([(0, 0), *spans], [*spans, (len(data), 0)], strict=True)
        )
        removed = len(data) - len(rest)
        dropped = removed and (
            removed > max_removed_share * len(data) or len(rest.decode()) < min_characters
        )
        found.append(None if dropped else spans)
        seen |= set() if dropped else own
    return found


def _in_characters(data: bytes, covered: Sequence[bool]) -> Iterator[Span]:
    """Runs of covered bytes, without characters that are covered in part."""
    begin = None
    for place in range(len(data) + 1):
        inside = place < len(data) and covered[place]
        if inside and begin is None:
            begin = place
        elif not inside and begin is not None:
            end = place
            while begin < end and data[begin] & 0xC0 == 0x80:
                begin += 1
            while begin < end < len(data) and data[end] & 0xC0 == 0x80:
                end -= 1
            if begin < end:
                yield begin, end
            begin = None


def _bridged(spans: Iterator[Span], bridge: int) -> list[Span]:
    joined: list[Span] = []
    for begin, end in spans:
        if joined and begin - joined[-1][1] <= bridge:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined
