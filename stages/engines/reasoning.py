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
_BLOCK = re.compile(
    "|".join(
        rf"^[ \t]*{opening}.*?{closing}".replace(r"\1", rf"\{number}")
        for number, (opening, closing) in enumerate(_PAIRS, 1)
    ),
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
# The answer itself is marked by some models.
_ANSWER = re.compile(
    r"\A\s*(?:<(?:answer|final_answer|final|output|response|solution)>|<\|begin_of_solution\|>"
    r"|<\|START_RESPONSE\|>)(.*?)"
    r"(?:</(?:answer|final_answer|final|output|response|solution)>|<\|end_of_solution\|>"
    r"|<\|END_RESPONSE\|>)?\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
# Reasoning without marks has a heading, or speaks about its task.
_UNMARKED = re.compile(
    r"\A\s*[*_#]*[ \t]*(?:thinking|thought|reasoning) (?:process|steps)[*_]*[ \t]*:"
    r"|\A\s*[*_#]+[ \t]*(?:thinking|thoughts|reasoning)[*_]*[ \t]*:"
    r"|\A\s*(?:(?:ok(?:ay)?|alright|all right|hmm+|so|well|first)[,.!]?\s+(?:so[,]?\s+)?)?"
    r"(?:the user (?:wants|is asking|asks|has (?:given|provided|asked)|needs)"
    r"|(?:i|we) (?:need to|have to|should|must) (?:rewrite|rephrase|condense|summari[sz]e)"
    r" (?:the|this)"
    r"|let me (?:start by|think about|read|go through|analy[sz]e) (?:the|this))\b",
    re.IGNORECASE,
)
# A second round of reasoning, behind the answer, without an end.
_AGAIN = re.compile(r"^[ \t]*(?:<think(?:ing)?>|\[THINK\]|◁think▷)", re.IGNORECASE | re.MULTILINE)
# What stands before the answer where reasoning has a heading instead of marks.
_FINAL_HEADING = re.compile(
    r"^[ \t]*[*_#>]*[ \t]*final (?:answer|draft|output|response|text|version)[*_ \t]*:?[*_ \t]*$",
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
    rest = _TOOK.sub("", _CONSTRAINED.sub("", _BLOCK.sub("", text)))
    closing = _unopened_end(rest)
    if closing is not None:
        rest = rest[closing:]
    if _UNMARKED.match(rest):
        headings = list(_FINAL_HEADING.finditer(rest))
        return rest[headings[-1].end() :] if headings else None
    if _OPENING.match(rest.lstrip()) or _AGAIN.search(rest):
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
