"""National identity, tax and health numbers of persons (and Brazil's of companies).

A number counts if its rule holds (`national_kinds`) and one of these:

1. A word of its kind stands close before it, or right behind it: `SSN`, `Steuer-ID`, `身份证`.
2. It stands alone as no other number would: by its letters, or by a check that few numbers pass
   (`ALWAYS`), or as it is printed, with its separators (`SHAPED`).
3. It is printed so, and the text is in a language of its country.

So bare digits with a weak check digit, or none, need a word.
"""

import re
from collections.abc import Collection

from corpusmill.stages.redact.national_kinds import (
    NATIONAL_IDS,
    Alone,
    NationalId,
    NationalIdName,
    whole,
)

BEFORE, AFTER = 64, 24  # bytes in which a word is looked for
_ANY_SHAPE = re.compile(  # of all patterns; a back reference is any separator here
    whole(
        "|".join(
            sorted(
                {
                    re.sub(r"\(\[ [.-]\]\?\)|\\1", "[ .-]?", kind.shape)
                    for kind in NATIONAL_IDS.values()
                }
            )
        )
    ).encode()
)
_GLUED_LABEL = re.compile(r"[A-Z]{2,6}(?=\d)")
_SEPARATORS = str.maketrans("", "", " .-/()")
_NO_SIGN_BEFORE = re.compile(r"[/=&%#@$€£+*~^.,:-]\Z|\b(?:isbn|issn|doi|pmid)[\s:#.-]{0,3}\Z", re.I)
# Kinds without a check digit. So a number of a thing looks like one, and one form of them counts.
_UNCHECKED = {
    "us_ssn": re.compile(r"\d{3}-\d\d-\d{4}"),
    "gb_nino": re.compile(r"[A-Z]{2}(?: ?\d\d){3} ?[A-D]"),
}
_THING_BEFORE = re.compile(
    r"\b(?:(?:part|patent|order|model|item|invoice|serial|product|catalog(?:ue)?|docket|case)s?|sku"
    r"|p/?n|no|nr|nos)\b[\s.:#-]{0,4}(?:(?:number|num|no|nr)s?\b[\s.:#-]{0,3})?\Z",
    re.I,
)
# A plus or minus sign between birthday and number is part of these.
_KEEP_SIGNS = ("fi_hetu",)


def national_id_spans(
    window: bytes, at: int, after: int, language: str | None, names: Collection[NationalIdName]
) -> list[tuple[int, int]]:
    """The places in `window` of national numbers that begin between `at` and `after`.

    language: of the text. names: the kinds to look for, of `NATIONAL_IDS`.
    """
    reach = min(len(window), after + 4)
    text = window.decode("latin-1")  # places in the text are places in the bytes
    found: list[tuple[int, int]] = []
    if label := _GLUED_LABEL.match(text, at, after):
        found += _glued_spans(text, label, reach, names)
    if _ANY_SHAPE.search(window, at, reach) is None:
        return found  # nearly all candidates
    nearby = _nearby(window, at, after)
    for name in names:
        kind = NATIONAL_IDS[name]
        for match in kind.pattern.finditer(text, at, reach):
            spelled = match[0]
            if not match.start() < after or not _holds(name, kind, spelled):
                continue
            before = text[max(0, match.start() - 24) : match.start()]
            if _counts(name, kind, spelled, nearby, before, language):
                found.append(match.span())
    return found


def _glued_spans(
    text: str, label: re.Match[str], reach: int, names: Collection[NationalIdName]
) -> list[tuple[int, int]]:
    """The places of national numbers right behind a label of theirs, such as `SSN536901399`."""
    kinds = [(name, NATIONAL_IDS[name]) for name in names]
    matches = [
        (name, kind, kind.glued.match(text, label.end(), reach))
        for name, kind in kinds
        if kind.words.fullmatch(label[0])
    ]
    return [m.span() for name, kind, m in matches if m and _holds(name, kind, m[0])]


def _nearby(window: bytes, at: int, after: int) -> str:
    """What stands before and behind the candidate, as text."""
    before = window[max(0, at - BEFORE) : at].decode("utf-8", "ignore")
    line_end = window.find(b"\n", after, after + AFTER)
    behind = window[after : line_end if line_end >= 0 else after + AFTER]
    return f"{before}\n{behind.decode('utf-8', 'ignore')}"


def _holds(name: str, kind: NationalId, spelled: str) -> bool:
    number = spelled if name in _KEEP_SIGNS else spelled.replace("+", "").translate(_SEPARATORS)
    return kind.holds(number)


def _counts(
    name: str,
    kind: NationalId,
    spelled: str,
    nearby: str,
    before: str,
    language: str | None,
) -> bool:
    if kind.words.search(nearby):
        return True
    if _NO_SIGN_BEFORE.search(before):
        return False
    if kind.alone == Alone.ALWAYS:
        return True
    printed = _UNCHECKED.get(name)
    if printed and (not printed.fullmatch(spelled) or _THING_BEFORE.search(before)):
        return False
    # Digits with blanks between may be parts of anything. Norway prints its numbers without signs.
    shaped = not spelled.replace(" ", "").isdigit() and not spelled.isalnum()
    shaped = shaped or language in ("no", "nb", "nn")
    return shaped and (kind.alone == Alone.SHAPED or language in kind.languages)
