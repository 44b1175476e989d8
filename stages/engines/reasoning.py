"""Reasoning in an answer: text that a model writes for itself before it answers.

Models mark it in many ways. Where the prompt already opens it, only its end is marked. Where a
server strips special tokens, the marks of some models become words (`analysis`, `assistantfinal`).
"""

import re

_TAGS = (
    "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|seed:think|analysis"
    "|longcat_think|chain_of_thought|cot|rationale|inner_monologue|inner_thoughts"
    "|internal_monologue|internal_thoughts?|reasoning_content|reasoning_process"
    "|think_process|thinking_process|thought_process|scratch_pad"
)
_PAIRS = (
    (rf"<[ \t]*({_TAGS})[ \t]*>", r"<[ \t]*/[ \t]*\1[ \t]*>"),
    (r"\[(THINK)\]", r"\[/THINK\]"),
    (r"◁(think)▷", r"◁/think▷"),
    (r"<\|begin_of_(thought|thinking)\|>", r"<\|end_of_\1\|>"),
    (r"<\|(?:START|BEGIN)_(THINKING)\|>", r"<\|END_THINKING\|>"),
    (r"<\|(think|thinking)\|>", r"<\|/\1\|>"),
    (r"<\|(inner)_prefix\|>", r"<\|inner_suffix\|>"),
    (r"```(thinking|thought|reasoning)\n", r"\n```"),
    (r"(Thinking)\.\.\.\n", r"\n\.\.\.done thinking\.\s*"),
    (r"Here is my (thought process|thinking):", r"\nHere is my (?:response|answer):"),
    (r"<unused94>(thought)?", r"<unused95>"),
    (r"<\|channel>(thought)?", r"<channel\|>"),
    (r"<[|｜](think)[|｜]>", r"<[|｜]/think[|｜]>"),
    (r"<details (type)=\"reasoning\"[^>]*>", r"</details>"),
)
# Code of an answer, which may show such marks.
_CODE = r"^[ \t]*(?P<ticks>`{3,}|~{3,})[^`\n]*\n.*?^[ \t]*(?P=ticks)[ \t]*$"
_FENCED = re.compile(_CODE, re.DOTALL | re.MULTILINE)
# Whichever begins first holds the other.
_BLOCK_OR_CODE = re.compile(
    "|".join(
        rf"^[ \t]*{opening}.*?{closing}".replace(r"\1", rf"\{number}")
        for number, (opening, closing) in enumerate(_PAIRS, 1)
    )
    + f"|(?P<code>{_CODE})",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_OPENING = re.compile("|".join(opening for opening, _ in _PAIRS), re.IGNORECASE)
_CLOSING = re.compile(
    rf"<[ \t]*/[ \t]*(?:{_TAGS})[ \t]*>|<channel\|>|<｜/think｜>|\[/THINK\]|◁/think▷"
    r"|<\|end_of_(?:thought|thinking)\|>|<\|END_THINKING\|>"
    r"|<\|/think(?:ing)?\|>|<\|inner_suffix\|>|<unused95>",
    re.IGNORECASE,
)
# gpt-oss: channels, with and without their special tokens.
_CHANNELS = re.compile(
    r"\A\s*(?:<\|start\|>assistant)?(?:<\|channel\|>)?(?:analysis|commentary)(?![ \t])"
)
_FINAL = re.compile(r"(?:<\|start\|>)?assistant(?:<\|channel\|>)?final(?:<\|message\|>)?")
# Reasoning in a channel, and no final channel behind it.
_ONLY_REASONING = re.compile(r"\A\s*(?:<\|start\|>assistant)?(?:<\|channel\|>|analysis[A-Z])")
_CONSTRAINED = re.compile(r"\A\s*(?:<\|channel\|>)final(?:<\|message\|>)|<\|(?:return|end)\|>\s*\Z")
# The answer itself is marked by some models. Where text stands behind the mark, it is the answer's.
_ANSWER_TAGS = "answer|final_answer|final|output|response|solution"
_ANSWER = re.compile(
    rf"\A\s*(?:<(?P<tag>{_ANSWER_TAGS})>((?:(?!</?(?P=tag)>).)*)</(?P=tag)>"
    rf"|<(?:{_ANSWER_TAGS})>((?:(?!</(?:{_ANSWER_TAGS})>).)*)"
    r"|<\|begin_of_solution\|>(.*?)(?:<\|end_of_solution\|>)?"
    r"|<\|START_RESPONSE\|>(.*?)(?:<\|END_RESPONSE\|>)?)\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
# Reasoning without marks has a heading, or speaks about its task.
_HEADED = re.compile(
    r"\A\s*[*_#]*[ \t]*(?:thinking|thought|reasoning) (?:process|steps)[*_]*[ \t]*:"
    r"|\A\s*[*_#]+[ \t]*(?:thinking|thoughts|reasoning)[*_]*[ \t]*:",
    re.IGNORECASE,
)
_SPEAKS_OF_ITS_TASK = re.compile(
    r"\A\s*(?:(?:ok(?:ay)?|alright|all right|hmm+|so|well|first)[,.!]?\s+(?:so[,]?\s+)?)?"
    r"(?:the user (?:wants|is asking|asks|has (?:given|provided|asked)|needs)"
    r"|(?:i|we) (?:need to|have to|should|must) (?:rewrite|rephrase|condense|summari[sz]e)"
    r" (?:the passage|(?:this|the (?:given|provided))"
    r" (?:passage|text|excerpt|document|article|page))"
    r"|let me (?:start by|think about|read|go through|analy[sz]e) (?:the|this))\b",
    re.IGNORECASE,
)
# A second round of reasoning, behind the answer, without an end.
_AGAIN = re.compile(r"^[ \t]*(?:<think(?:ing)?>|\[THINK\]|◁think▷)", re.IGNORECASE | re.MULTILINE)
# What stands before the answer where reasoning has a heading instead of marks.
_FINAL_HEADING = re.compile(
    r"^[ \t]*[*_#>]*[ \t]*final (?:answer|draft|output|response|text|version)[*_ \t]*"
    r"(?::[*_]*[ \t]*|$)",
    re.IGNORECASE | re.MULTILINE,
)
_TOOK = re.compile(r"\A\s*Thought for (?:about )?(?:a|\d+) (?:few )?(?:second|minute)s?\.?[ \t]*\n")


def without_reasoning(text: str) -> str | None:
    """The answer behind the reasoning. None: there is reasoning and no end of it."""
    if _CHANNELS.match(text):
        final = list(_FINAL.finditer(text))
        if final:
            return _CONSTRAINED.sub("", text[final[-1].end() :])
        if _ONLY_REASONING.match(text):
            return None
    rest = _TOOK.sub("", _CONSTRAINED.sub("", _without_blocks(text)))
    closing = _unopened_end(rest)
    if closing is not None:
        rest = rest[closing:]
    if _HEADED.match(rest):
        return _behind_final_heading(rest)
    if (
        _SPEAKS_OF_ITS_TASK.match(rest)
        or _OPENING.match(rest.lstrip())
        or _AGAIN.search(_FENCED.sub("", rest))
    ):
        return None
    marked = _ANSWER.match(rest)
    return next(filter(None, marked.groups()[1:]), "") if marked else rest


def marks(token: str) -> bool:
    """Whether a token begins or ends reasoning."""
    return bool(_OPENING.fullmatch(token) or _CLOSING.fullmatch(token))


def _without_blocks(text: str) -> str:
    return _BLOCK_OR_CODE.sub(lambda found: found["code"] or "", text)


def _behind_final_heading(text: str) -> str | None:
    """The text behind the first final heading that has some. None: no heading has."""
    headings = list(_FINAL_HEADING.finditer(text))
    while headings and not text[headings[-1].end() :].strip():
        text = text[: headings.pop().start()]
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    for heading, end in zip(headings, ends, strict=False):
        if text[heading.end() : end].strip():
            return text[heading.end() :]
    return None


def _unopened_end(text: str) -> int | None:
    """Where reasoning ends that the prompt has opened: behind the last end without a beginning."""
    found = None
    depth = 0
    for mark in sorted(
        [*_OPENING.finditer(text), *_CLOSING.finditer(text)], key=lambda mark: mark.start()
    ):
        if mark.re is _OPENING:
            depth += 1
        elif depth:
            depth -= 1
        else:
            found = mark.end()
    return found
