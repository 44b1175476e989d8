"""Reasoning in an answer: text that a model writes for itself before it answers.

Models mark it in many ways, and new ones come every month. So marks are known by their form: a
bracket and a word of thinking. Where the prompt already opens the reasoning, only its end is
marked. Where a server strips special tokens, the marks of some models become words.

A page may be about such marks, and so may an answer. A mark is the model's only where models put
it: at the beginning of the answer or of a line, at the end of a line, outside of code. The others,
and those that the passage has, are words of the text. Where it is not sure, the text stays.
"""

import itertools
import re
from collections.abc import Iterator

# Few words: `<reason>` and `<plan>` are elements of honest XML, and `[REASON]` is a blank.
_STEM = (
    r"(?:ant|(?:[a-z]{1,12}[:_-]){0,2})(?:think(?:ing)?|thoughts?|reasoning|reflection|cot"
    r"|scratch[_-]?pad|monologue)(?:[_-](?:content|process|steps?|faster))?"
)
_PREFIXED = r"think(?:ing)?|thoughts?|reason(?:ing)?|internal_thoughts?|analysis"
_CAPITALS = r"(?-i:THINK|(?:BEGIN|START)[ _](?:THINKING|THOUGHTS?|REASONING))"
_CAPITALS_END = r"(?-i:/THINK|END[ _](?:THINKING|THOUGHTS?|REASONING))"
_OPENING = re.compile(
    rf"\\?(?:<|&lt;)[ \t]*(?:{_STEM})(?:[ \t]+[\w:-]+=[^<>\n]*)?[ \t]*(?<!/)\\?(?:>|&gt;)"
    rf"|\[{_CAPITALS}\](?!\()"
    r"|◁think▷"
    rf"|<[|｜](?:(?:begin|start)_(?:of_)?)?(?:{_PREFIXED})(?:_(?:begin|start))?[|｜]>"
    r"|<\|inner_prefix\|>|<unused94>(?:thought\b)?|<\|channel>(?:thought\b)?",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"\\?(?:<|&lt;)[ \t]*/[ \t]*(?:{_STEM})[ \t]*\\?(?:>|&gt;)"
    rf"|\[{_CAPITALS_END}\](?!\()"
    r"|◁/think▷"
    rf"|<[|｜](?:/|end_(?:of_)?)(?:{_PREFIXED})[|｜]>|<[|｜](?:{_PREFIXED})_end[|｜]>"
    r"|<\|inner_suffix\|>|<unused95>|<channel\|>",
    re.IGNORECASE,
)
# What the two halves of a pair do not share.
_HALF = re.compile(
    r"[ \t]+[\w:-]+=.*|\b(?:lt|gt)\b|(?:begin|start|end)(?:_of_)?|(?:pre|suf)fix|\W|_"
    r"|(?<=unused9)[45](?:thought)?|(?<=channel>)thought",
    re.IGNORECASE | re.DOTALL,
)
# Pairs whose end means nothing without their beginning.
_BLOCK = re.compile(
    r"\A\s*```(?:think|thinking|thought|reasoning)\n.*?\n```"
    r"|\A\s*Thinking\.\.\.\n.*?\n\.\.\.done thinking\.[ \t]*(?=\n|\Z)"
    r"|\A\s*<details>\s*<summary>[^<\w]*(?:<\w+>)?(?:my )?(?:thinking|thoughts?|reasoning"
    r"|chain of thought)(?: process| steps| for [^<]*)?[^<\w]*(?:</\w+>)?\s*</summary>"
    r".*?</details>"
    r"|^[ \t]*<details type=\"reasoning\"[^<>]*>(?:(?!<details\b).)*?</details>",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^`\n]*)$", re.MULTILINE)
_INDENT = 40
_LINE_BEGINS, _LINE_ENDS = re.compile(r"(?:\A|\n)[ \t]*\Z"), re.compile(r"[ \t]*(?:\n|\Z)")
_SENTENCE_ENDS = re.compile(r"""(?:\A|\n|[.!?…。！？]["”)*\]]*)[ \t]*\Z""")
# A sentence goes on behind a mark: the mark is a word of it.
_GOES_ON = re.compile(r"[ \t]*[.,;:!?)`、。，]|(?P<quote>[\"'”’»])|[ \t]+(?P<letter>[^\W\d_])")
_QUOTES = "\"'“‘„«"
_INDENTED_CODE = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_EMPTY_FENCE = re.compile(r"\A\s*(`{3,}|~{3,})\w*\s*\1[ \t]*(?=\n|\Z)")
_TOOK = re.compile(r"\A\s*Thought for (?:about )?(?:a|\d+) (?:few )?(?:second|minute)s?\.?[ \t]*\n")
# gpt-oss: messages in channels, and what is left of them without special tokens.
_MESSAGE = re.compile(
    r"<\|channel\|>[ \t]*(?P<channel>\w+)[^<\n]*(?:<\|constrain\|>[^<\n]*)?(?:<\|message\|>)?"
    r"(?P<text>.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_STRIPPED_FINAL = re.compile(r"assistantfinal(?![a-z])[ \t]*|^assistant\n{1,2}final[ \t]*$", re.M)
_STRIPPED = re.compile(r"\A\s*(?:analysis|commentary)(?:[A-Z]|[ \t]*\n)")
# The answer itself is marked by some models. Where text stands behind the mark, it is the answer's.
_ANSWER_TAGS = "answer|final_answer|final|output|response|solution"
_ANSWER = re.compile(
    rf"\A\s*(?:<(?P<tag>{_ANSWER_TAGS})>((?:(?!</?(?P=tag)>).)*)</(?P=tag)>"
    rf"|<(?:{_ANSWER_TAGS})>((?:(?!</(?:{_ANSWER_TAGS})>).)*)"
    r"|<\|begin_of_(?:solution|box)\|>(.*?)(?:<\|end_of_(?:solution|box)\|>)?"
    r"|<\|START_(?:RESPONSE|TEXT)\|>(.*?)(?:<\|END_(?:RESPONSE|TEXT)\|>)?)\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
# Reasoning without marks has a heading.
_HEADED = re.compile(
    r"\A\s*[*_#>]*[ \t]*here(?:'s|’s| is| are) my (?:thought process|thinking|thoughts|reasoning)"
    r"(?: steps| process)?[*_]*[ \t]*:"
    r"|\A\s*[*_#]*[ \t]*(?:(?:thinking|thought|reasoning) (?:process|steps)|chain[ -]of[ -]thought"
    r"|cot|internal monologue)[*_]*[ \t]*:"
    r"|\A\s*[*_#]+[ \t]*(?:thinking|thoughts|reasoning)[*_]*[ \t]*:"
    r"|\A\s*thought[ \t]*\n"
    r"|\A\s*(?:okay,? |so,? )?let(?:'s|’s| me| us) think (?:step by step|(?:through|about) this)\b",
    re.IGNORECASE,
)
# Words that an honest text may have as a heading, too. Those of `weak` count only if there is a
# heading before the answer.
_PERHAPS_HEADED = re.compile(
    r"\A\s*[*_#]*[ \t]*(?:(?:thinking|reasoning)"
    r"|(?P<weak>thoughts?|analysis|rationale|plan|draft))(?:[*_]*[ \t]*:|[*_]*[ \t]*\n)",
    re.IGNORECASE,
)
# What stands before the answer where reasoning has a heading instead of marks.
_FINAL_HEADING = re.compile(
    r"^[ \t]*[*_#>]*[ \t]*final (?:answer|draft|output|response|text|version)[*_ \t]*"
    r"(?::[*_]*[ \t]*|$)"
    r"|^[ \t]*[*_#>]*[ \t]*here(?:'s|’s| is) my (?:final )?(?:response|answer)[*_]*:[*_]*[ \t]*"
    r"|^[ \t]*[*_#>]*[ \t]*(?:answer|response|output)[*_]*:[*_]*[ \t]*"
    r"|^[ \t]*(?:\*\*|#+[ \t]*)(?:answer|response|output)(?:\*\*)?[ \t]*$"
    r"|\[BEGIN FINAL RESPONSE\]",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS = re.compile(
    r"^[ \t]*[*_#]*(?:question|problem|q)\b[ \t\d*_]*:", re.IGNORECASE | re.MULTILINE
)
_ENDS = re.compile(r"(?:(?:<\|(?:return|end)\|>|\[END FINAL RESPONSE\])\s*)+\Z")
# Or it speaks about its task.
_SPEAKS_OF_ITS_TASK = re.compile(
    r"\A\s*(?:(?:ok(?:ay)?|alright|all right|hmm+|so|well|first|got it)[,.!]?\s+(?:so[,]?\s+)?)?"
    r"(?:the user (?:wants|is asking|asks|has (?:given|provided|asked)|gave|needs|provided)"
    r"|(?:i|we)(?: need to| have to| should| must|(?: a|')re asked to|'ll|’ll)"
    r" (?:rewrite|rephrase|condense|summari[sz]e|start by (?:reading|analy[sz]ing))"
    r" (?:the passage|(?:this|the (?:given|provided))"
    r" (?:passage|text|excerpt|document|article|page))"
    r"|we are (?:asked to|given (?:a|the) (?:passage|text|document))"
    r"|let(?: me|'s|’s) (?:start by|think about|read|go through|analy[sz]e|tackle)"
    r" (?:this\b(?=[ \t]*[.,:])|(?:this|the(?: given| provided)?)"
    r" (?:passage|text|excerpt|request|task)\b)"
    r"|(?<=[,.!] )let(?: me|'s|’s) (?:see|think)\b)",
    re.IGNORECASE,
)


def without_reasoning(text: str, passage: str = "") -> str | None:
    """The answer behind the reasoning. None: there is reasoning and no end of it.

    passage: what the answer is about. Marks that it has, or of which it has the other half, may be
    quoted. Empty: it is not known, so all marks may be.
    """
    known = passage.casefold()
    behind = _behind_channels(text, known)
    if behind is None:
        return None
    rest = _BLOCK.sub(lambda found: found[0] if found[0].casefold() in known else "", behind)
    unmarked = _without_marked(_TOOK.sub("", rest), known)
    if unmarked is None:
        return None
    rest = _EMPTY_FENCE.sub("", unmarked)
    if _own(_HEADED.match(rest), known):
        return _behind_final_heading(rest)
    heading = _PERHAPS_HEADED.match(rest)
    if passage and heading and _own(heading, known):
        found = _behind_final_heading(rest)
        return rest if found is None and heading["weak"] else found
    if _own(_SPEAKS_OF_ITS_TASK.match(rest), known):
        return None
    marked = _ANSWER.match(rest)
    return next(filter(None, marked.groups()[1:]), "") if marked else rest


def marks(token: str) -> bool:
    """Whether a token begins or ends reasoning."""
    return bool(_OPENING.fullmatch(token) or _CLOSING.fullmatch(token))


def _own(found: re.Match[str] | None, known: str) -> bool:
    """Whether the model wrote this of itself: the passage does not have it."""
    return found is not None and found[0].strip().casefold() not in known


def _behind_channels(text: str, known: str) -> str | None:
    """The text of the final channel, or a text without channels. None: there is no final one."""
    messages = list(_MESSAGE.finditer(text))
    quoted = not known or "<|channel|>" in known
    if messages and (not quoted or text.lstrip().startswith("<|")):
        finals = [found["text"] for found in messages if found["channel"] == "final"]
        return finals[-1] if finals else None
    headed = _own(_STRIPPED.match(text), known)
    ends = [found.end() for found in _STRIPPED_FINAL.finditer(text) if _own(found, known)]
    if ends and (known or headed):
        return text[ends[-1] :]
    return None if headed else _ENDS.sub("", text)


def _without_marked(text: str, known: str) -> str | None:
    """The text without what stands between marks, and before an end that has no beginning.

    None: something begins and does not end. Within reasoning, only its end counts: a model may
    speak of marks there.
    """
    kept: list[str] = []
    cursor, opened = 0, False
    for mark in _marks(text, known):
        if mark.re is _OPENING:
            if not opened:
                kept.append(text[cursor : mark.start()])
            opened = True
            continue
        if not opened:
            kept.clear()
        cursor, opened = mark.end(), False
    return None if opened else "".join([*kept, text[cursor:]])


def _marks(text: str, known: str) -> Iterator[re.Match[str]]:
    """The model's own marks, in order: those where models put them, outside of code.

    A beginning is at the text's, or at a line's if the passage has neither half of the pair. An
    end of what has begun is any that no sentence goes on behind. One without a beginning ends a
    line, or stands between a whole sentence and the answer if the passage lacks the pair.
    """
    found = sorted(
        [*_OPENING.finditer(text), *_CLOSING.finditer(text)], key=lambda mark: mark.start()
    )
    if not found:
        return
    code = bytearray(len(text))
    for first, last in _code(text):
        code[first:last] = b"\1" * (last - first)
    pages = {_pair(half[0]) for marks in (_OPENING, _CLOSING) for half in marks.finditer(known)}
    beginning = len(text) - len(text.lstrip())
    opened = quotes = False
    quoted_until = 0
    for mark, following in itertools.zip_longest(found, found[1:]):
        start, end = mark.span()
        if opened:
            if mark.re is _CLOSING and not _goes_on(mark):
                opened = False
                yield mark
            continue
        if code[start]:
            continue
        may_be_quoted = not known or _pair(mark[0]) in pages
        begins_line = _LINE_BEGINS.search(text, max(0, start - _INDENT), start)
        if mark.re is _OPENING:
            line = text.find("\n", end) % (len(text) + 1)
            named = _goes_on(mark) or (
                following is not None
                and following.re is _CLOSING
                and following.end() <= line
                and _goes_on(following)
            )
            if not named and (
                start <= beginning or (begins_line and (not known or not may_be_quoted))
            ):
                opened = True
                yield mark
            else:
                quotes, quoted_until = not named and begins_line is not None, line
            continue
        whole = _SENTENCE_ENDS.search(text, max(0, start - _INDENT), start)
        is_last = _LINE_ENDS.match(text, end) and (whole or not text[start - 1].isspace())
        is_between = whole and not _goes_on(mark) and (start <= beginning or not may_be_quoted)
        if (is_last or is_between) and not quotes and start >= quoted_until:
            yield mark
        quotes = False


def _goes_on(mark: re.Match[str]) -> bool:
    found = _GOES_ON.match(mark.string, mark.end())
    if found and found["quote"]:
        return mark.start() > 0 and mark.string[mark.start() - 1] in _QUOTES
    return found is not None and (not found["letter"] or found["letter"].islower())


def _pair(mark: str) -> str:
    """What both halves of a pair have in common."""
    return _HALF.sub("", mark.casefold())


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Where code begins and ends: fences, indented lines, and backticks within a line."""
    for code in (_INLINE_CODE, _INDENTED_CODE):
        yield from (found.span() for found in code.finditer(text))
    opening = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1] == opening[1] and not fence[2].strip():
            yield opening.start(), fence.end()
            opening = None


def _behind_final_heading(text: str) -> str | None:
    """The text behind the first final heading that has some. None: no heading has, or it may be
    the answer of a question.
    """
    headings = list(_FINAL_HEADING.finditer(text))
    while headings and not text[headings[-1].end() :].strip():
        text = text[: headings.pop().start()]
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    for heading, end in zip(headings, ends, strict=False):
        if text[heading.end() : end].strip():
            return (
                None
                if _ASKS.search(text[: heading.start()])
                else _ENDS.sub("", text[heading.end() :])
            )
    return None
