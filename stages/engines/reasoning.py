"""Reasoning in an answer: text that a model writes for itself before it answers.

Models mark it in many ways. Where the prompt already opens it, only its end is marked. Where a
server strips special tokens, the marks of some models become words (`analysis`, `assistantfinal`).
"""

import re

_TAGS = (
    "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|seed:think|analysis"
    "|longcat_think|chain_of_thought|cot|rationale|inner_monologue|inner_thoughts"
)
_PAIRS = (
    (rf"<({_TAGS})>", r"</\1>"),
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
)
_BLOCK = re.compile(
    "|".join(
        rf"^[ \t]*{opening}.*?{closing}".replace(r"\1", rf"\{number}")
        for number, (opening, closing) in enumerate(_PAIRS, 1)
    ),
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_OPENING = re.compile("|".join(opening for opening, _ in _PAIRS), re.IGNORECASE)
_CLOSING = re.compile(
    rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|end_of_(?:thought|thinking)\|>|<\|END_THINKING\|>"
    r"|<\|/think(?:ing)?\|>|<\|inner_suffix\|>|<unused95>",
    re.IGNORECASE,
)
# gpt-oss: channels, with and without their special tokens.
_CHANNELS = re.compile(
    r"\A\s*(?:<\|start\|>assistant)?(?:<\|channel\|>)?(?:analysis|commentary)(?![ \t])"
)
_FINAL = re.compile(r"(?:<\|start\|>)?assistant(?:<\|channel\|>)?final(?:<\|message\|>)?")
_CONSTRAINED = re.compile(r"\A\s*(?:<\|channel\|>)final(?:<\|message\|>)|<\|(?:return|end)\|>\s*\Z")
# The answer itself is marked by some models.
_ANSWER = re.compile(
    r"\A\s*(?:<answer>|<response>|<\|begin_of_solution\|>|<\|START_RESPONSE\|>)(.*?)"
    r"(?:</answer>|</response>|<\|end_of_solution\|>|<\|END_RESPONSE\|>)?\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
# Reasoning without marks has a heading, or speaks about its task.
_UNMARKED = re.compile(
    r"\A\s*[*_#]*[ \t]*(?:thinking|thought|reasoning) (?:process|steps)[*_]*[ \t]*:"
    r"|\A\s*[*_#]+[ \t]*(?:thinking|thoughts|reasoning)[*_]*[ \t]*:"
    r"|\A\s*(?:(?:ok(?:ay)?|alright|all right|hmm+|so|well|first)[,.!]?\s+(?:so[,]?\s+)?)?"
    r"(?:the user (?:wants|is asking|asks|has (?:given|provided|asked)|needs)"
    r"|(?:i|we) (?:need|have) to (?:rewrite|rephrase|condense|summari[sz]e) (?:the|this)"
    r"|let me (?:start by|think about|read|go through|analy[sz]e) (?:the|this))\b",
    re.IGNORECASE,
)


def without_reasoning(text: str) -> str | None:
    """The answer behind the reasoning. None: there is reasoning and no end of it."""
    if _CHANNELS.match(text):
        final = list(_FINAL.finditer(text))
        if final:
            return _CONSTRAINED.sub("", text[final[-1].end() :])
    rest = _CONSTRAINED.sub("", _BLOCK.sub("", text))
    closing = _unopened_end(rest)
    if closing is not None:
        rest = rest[closing:]
    opening = _OPENING.match(rest.lstrip())
    if opening or _UNMARKED.match(rest):
        return None
    marked = _ANSWER.match(rest)
    return marked[1] if marked else rest


def marks(token: str) -> bool:
    """Whether a token begins or ends reasoning."""
    return bool(_OPENING.fullmatch(token) or _CLOSING.fullmatch(token))


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
