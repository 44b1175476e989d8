"""The final answer in a generated text, and whether it is the right one.

Numbers: as in GSM8K's own evaluation, `1,234.00`, `$1234` and `1234` are one number. LaTeX: the
normalisation of Hendrycks et al. 2021 (arXiv 2103.03874) and Lewkowycz et al. 2022 (arXiv
2206.14858, appendix D.1): spacing, units, `\\text`, `\\left`, `\\dfrac` and dollar signs do not
count. Answers that are equal by algebra alone (`1/2` and `0.5`) count as equal if both are numbers.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction

BOXED = "boxed"  # in place of a pattern: the content of the last \\boxed{...}
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = re.compile(r"[^\w\s]")
_FRACTION = re.compile(r"\\frac\{(-?\d+)\}\{(-?\d+)\}")
_REMOVED = re.compile(
    r"\\(?:left|right|displaystyle|!|,|;|:|\s)|\\text\{\s*(?:units?|cm|inches|degrees)[^}]*\}"
    r"|\^\{?\\circ\}?|\\%|%|\\\$|\$"
)
_TEXT = re.compile(r"\\(?:text|mathrm|mbox|textbf)\{([^{}]*)\}")
_SHORT_FRACTION = re.compile(r"\\frac(\d)(\d)")


def final_answer(text: str, patterns: Sequence[str]) -> str | None:
    """The last match of the first pattern that matches: its group 1 if it has one. None if there is
    none. Without patterns, the whole text.
    """
    if not patterns:
        return text.strip()
    for pattern in patterns:
        if pattern == BOXED:
            boxed = last_boxed(text)
            if boxed is not None:
                return boxed
            continue
        found = list(re.finditer(pattern, text, re.DOTALL))
        if found:
            return found[-1].group(1 if found[-1].re.groups else 0).strip()
    return None


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}`, braces matched. None if there is none."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for place in range(start + 6, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return text[start + 7 : place]
    return None


def is_right(answer: str | None, right: Sequence[str], compare: str) -> bool:
    """Whether an answer equals one of the right ones. compare: as in `AnswerTask`."""
    if answer is None:
        return False
    if compare == "number":
        value = number_of(answer)
        return value is not None and any(number_of(text) == value for text in right)
    if compare == "math":
        return any(_same_math(answer, text) for text in right)
    plain = plain_words(answer)
    if compare == "begins":
        return any(plain.startswith(plain_words(text)) for text in right)
    return any(plain == plain_words(text) for text in right)


def number_of(text: str) -> Decimal | None:
    """The number that a text is, without thousands separators, currency and a last full stop."""
    bare = text.strip().strip("$€£").replace(",", "").replace("$", "").rstrip(".%").strip()
    try:
        value = Decimal(bare)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def plain_words(text: str) -> str:
    """Lower case, without punctuation, articles and double spaces (as SQuAD's evaluation)."""
    bare = _PUNCTUATION.sub(" ", text.lower())
    return " ".join(_ARTICLES.sub(" ", bare).split())


def _same_math(one: str, other: str) -> bool:
    first, second = plain_math(one), plain_math(other)
    if first == second:
        return True
    values = (_value(first), _value(second))
    return values[0] is not None and values[0] == values[1]


def plain_math(text: str) -> str:
    """LaTeX without what does not change its meaning."""
    text = text.strip().rstrip(".").replace("dfrac", "frac").replace("tfrac", "frac")
    text = _TEXT.sub(r"\1", _REMOVED.sub("", text))
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)
    text = re.sub(r"^[a-zA-Z]\s*=\s*", "", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return re.sub(r"\s+", "", text)


def _value(text: str) -> Fraction | None:
    fraction = _FRACTION.fullmatch(text.removeprefix("-"))
    try:
        if fraction:
            value = Fraction(int(fraction[1]), int(fraction[2]))
            return -value if text.startswith("-") else value
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
