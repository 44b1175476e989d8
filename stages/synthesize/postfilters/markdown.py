"""Take markdown marks out of an answer and keep its words. A model's markup is no part of the text.

As in CommonMark, emphasis opens before a word and closes after one. Here it never opens inside a
word, so `a*b*c`, `2 * 3 * 4`, `snake_case` and `__init__` stay as they are. Of a link, its text
stays. Code keeps every character; only its fences and back-ticks go. Formulas keep theirs too.
"""

import re

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*[\w.+#-]*[ \t]*$")
_CODE_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)")
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_FORMULA_FENCE = re.compile(r"^[ \t]*(?:\$\$|\\\[|\\\])[ \t]*$")
# Pandoc's rule for $...$: no blank inside its signs, and no digit behind. Prices are no formulas.
_FORMULA = re.compile(
    r"\$\$[^$]+\$\$|\$(?=\S)[^$]+?(?<=\S)\$(?!\d)"
    r"|\\\((?:(?!\\\().)+?\\\)|\\\[(?:(?!\\\[).)+?\\\]"
)
_UNDERLINE = re.compile(r"^={3,}[ \t]*$")
_RULE = re.compile(r"^[ \t]{0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_QUOTE = re.compile(r"^[ \t]{0,3}(?:>[ \t]?)+")
_STAR_BULLET = re.compile(r"^([ \t]*)[*+][ \t]+(?=\S)")

_TARGET = (
    r"\(\s*<?(?=[^\s<>()]*(?:[/#.:]|%20))(?:[^\s<>()]|\([^\s()]*\))+>?"
    r"(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)"
)
_IMAGE = re.compile(r"!\[([^\[\]\n]*)\]" + _TARGET)
_LINK = re.compile(r"\[((?:[^\[\]\n]|\[[^\[\]\n]*\])*)\]" + _TARGET)
_AUTOLINK = re.compile(r"<((?:https?|ftp|mailto):[^\s<>]+)>")

_DELIMITERS = re.compile(r"\\[*_~]|\*+|_+|~~")
_LONGEST_RUN = 3
# From here on, scripts put no spaces between words. So a word beside a mark says nothing.
_FIRST_CJK = 0x2E80


def without_markdown(text: str) -> str:
    """`text` without markdown marks. Lines stay lines. A line of marks alone is removed."""
    kept: list[str] = []
    fence = ""
    in_formula = False
    for line in text.split("\n"):
        if not fence and (in_formula or _FORMULA_FENCE.match(line)):
            in_formula ^= bool(_FORMULA_FENCE.match(line))
            kept.append(line)
            continue
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence):
                fence = ""
            else:
                kept.append(line)
        elif found:
            fence = found[1]
        elif not _RULE.match(line) and not (_UNDERLINE.match(line) and kept and kept[-1].strip()):
            kept.append(_line(line))
    return "\n".join(kept)


def _line(line: str) -> str:
    line = _QUOTE.sub("", line)
    heading = _HEADING.match(line)
    if heading:
        line = heading[1]
    line = _STAR_BULLET.sub(r"\1- ", line)
    pieces = []
    place = 0
    for span in _CODE_SPAN.finditer(line):
        pieces += [_inline(line[place : span.start()]), span[2].strip() or span[2]]
        place = span.end()
    return "".join([*pieces, _inline(line[place:])])


def _inline(text: str) -> str:
    """`text` without inline marks. Formulas stay as they are."""
    pieces, place = [], 0
    for formula in _FORMULA.finditer(text):
        pieces += [_without_marks(text[place : formula.start()]), formula[0]]
        place = formula.end()
    return "".join([*pieces, _without_marks(text[place:])])


def _without_marks(text: str) -> str:
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = _AUTOLINK.sub(r"\1", text)
    return _without_emphasis(text)


def _without_emphasis(text: str) -> str:
    """Remove pairs of `*`, `_` and `~~` runs in one pass. Each sign has a stack of open runs, as
    in CommonMark's algorithm.
    """
    removed: list[tuple[int, int]] = []
    open_runs: dict[str, list[list[int]]] = {"*": [], "_": [], "~": []}
    for run in _DELIMITERS.finditer(text):
        start, end = run.span()
        sign = text[start]
        if sign == "\\" or end - start > _LONGEST_RUN:
            continue
        before, after = text[start - 1 : start], text[end : end + 1]
        stack = open_runs[sign]
        left = end - start
        if before.strip() and not _is_word(after):
            while left and stack:
                opened = stack[-1]
                marks = min(left, opened[1] - opened[0])
                # Names such as `__init__` keep their underscores.
                if not (sign == "_" and marks > 1 and text[opened[1] : start].isidentifier()):
                    removed += [(opened[1] - marks, opened[1]), (end - left, end - left + marks)]
                opened[1] -= marks
                left -= marks
                if opened[0] == opened[1]:
                    stack.pop()
        if left == end - start and after.strip() and not _is_word(before):
            stack.append([start, end])
    place, kept = 0, []
    for start, end in sorted(removed):
        kept.append(text[place:start])
        place = end
    return "".join([*kept, text[place:]])


def _is_word(sign: str) -> bool:
    return sign != "" and (sign.isalnum() or sign == "_") and ord(sign) < _FIRST_CJK
