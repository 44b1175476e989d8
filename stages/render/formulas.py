r"""Where formulas stand in a text: `$`, `\(`, `$$`, `\[` and equation environments.

Dollars are mostly money, so the rules are strict. They are those of Pandoc's `tex_math_dollars` and
some more: no letter or digit touches a formula's dollars from outside, and what stands between them
is neither prose nor a price nor code. `\[` and `\(` are escapes of Markdown and of sed as well, so
a sign of maths has to stand between them. In doubt there is no formula, and the text is drawn as it
is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 400  # characters: more fits no line, and takes long to set

# What comes first wins. Without a name: line breaks, escaped signs, code between ticks.
MARKED = re.compile(
    r"\\\\|\\\$|(?<!`)`(?!`)[^`\n]{1,200}`(?!`)"
    rf"|(?P<dollars>(?<![A-Za-z0-9$])\$\$(?:[^$\\]|\\.){{1,{LONGEST}}}\$\$(?![A-Za-z0-9$]))"
    rf"|(?P<square>\\\[.{{1,{LONGEST}}}?\\\])"
    r"|(?P<environment>\\begin\{(?P<name>(?:equation|displaymath|align|gather|multline|eqnarray)"
    r"\*?)\}"
    rf".{{1,{LONGEST}}}?\\end\{{(?P=name)\}})"
    rf"|(?P<round>(?<![A-Za-z0-9'\"/\\])\\\(.{{1,{LONGEST}}}?\\\))"
    rf"|(?P<dollar>(?<![A-Za-z0-9$])\$(?![\s$])(?:[^$\\]|\\.){{1,{LONGEST}}}(?<!\s)\$"
    r"(?=(?:th|st|nd|rd|s)\b|[^A-Za-z0-9_$({]|\Z)(?!\.\d))",
    re.DOTALL,
)
ONE_ROW = re.compile(r"\\(?:begin|end)\{(?:equation|displaymath)\*?\}")
DISPLAY = ("dollars", "square", "environment")

# Of a formula: text in it, and commands.
TEXT = re.compile(r"\\(?:text\w*|mbox|hbox|math\w+|operatorname\*?)\s*\{[^{}]*\}|\\[A-Za-z]+")
PROSE = re.compile(r"[^\W\d_]{2,}[,;]?\s+[^\W\d_]{2,}")
PRICE = re.compile(r"\d[\d.,]*[\s/–-]{0,2}[^\W\d_]{3,}")
SUM = re.compile(r"\d.*[-+=*/(x]", re.DOTALL)  # `$20 x 5 =$ 100`
FOREIGN = re.compile(r"[`\"]|=!|(?<![\\\d])%")  # code, comments of TeX
KEYWORD = re.compile(r"(?:Author|Date|Header|Id|Log|Name|Revision|Source|State)\b")  # of CVS
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
# Of maths: commands, operators. What Markdown escapes as well is none: `\[^1\]`, `\[a_b\]`, `\*`.
SIGN = re.compile(r"\\[A-Za-z{\\;]|(?<=\S)\^|_[{\\]|[=<>]|\+(?=\s*[\w\\({])")
TERM = re.compile(r"[^\W\d_]|^\s*[-(\[|]")  # no plain number
WORD = re.compile(r"[^\W\d_]{2,}")
ALONE = re.compile(r"[\W_]*(?:[^\W\d_]{2,}[\W_]*)?")  # a word, or none
CLOSING = re.compile(r"\s*(?:[;,?)]|\.(?!\d))")  # `$$; echo $$`
EXPRESSION = re.compile(r"\.\*|\[\^|(?<!\\)\\[\d.?+*]")  # of sed and grep


@dataclass(frozen=True)
class Span:
    """A formula: text[start:end] with its marks, `source` without them. An environment keeps them.
    display: it stands on a line of its own.
    """

    start: int
    end: int
    source: str
    display: bool


def spans(text: str, start: int, end: int) -> list[Span]:
    """The formulas in text[start:end], which is a paragraph, in order."""
    return list(_spans(text, start, end))


def _spans(text: str, start: int, end: int) -> Iterator[Span]:
    at = start
    while (match := MARKED.search(text, at, end)) is not None:
        begin, at = match.span()
        kind = match.lastgroup
        if kind is None:
            continue
        if kind == "environment":
            yield Span(begin, at, ONE_ROW.sub("", match[0]), True)
            continue
        source = match[0].strip("$") if "dollar" in kind else match[0][2:-2]
        if _is_formula(source, kind):
            yield Span(begin, at, source, kind in DISPLAY)
        elif "dollar" in kind:
            at = begin + len(kind) - 5  # the second mark may open a formula


def _is_formula(source: str, kind: str) -> bool:
    """Whether it is no prose, no price and no code."""
    if kind != "environment" and not _is_maths(source, kind):
        return False
    if FOREIGN.search(source) or not _balanced(source):
        return False
    return not (PRICE.match(source) or PROSE.search(TEXT.sub(";", source)))


def _is_maths(source: str, kind: str) -> bool:
    """Whether what stands between the marks says so."""
    if kind == "dollar":
        return not (SUM.fullmatch(source) or KEYWORD.match(source))
    if kind == "dollars":
        return not (ALONE.fullmatch(source) or CLOSING.match(source))
    if EXPRESSION.search(source) or source.count(r"\|") % 2:
        return False
    plain = kind == "round" and TERM.search(source) and not WORD.search(source)
    return bool(plain or SIGN.search(source))


def _balanced(source: str) -> bool:
    depth = 0
    for brace in BRACE.findall(source):
        depth += (brace == "{") - (brace == "}")
        if depth < 0:
            return False
    return depth == 0
