"""Post-filters: from a model's raw answer to clean text, or to the reason for dropping it.

A prompt names its post-filters, in order, in its front matter. They are part of the prompt
(Nemotron-CC, Su et al. 2024, arXiv 2412.02595, section 2.3). The paper drops cut-off answers, takes
out markdown, asks for a lead-in line and cuts it, strips quotes around the whole, and takes lists
and question-answer pairs apart. A filter is a function of the text and its context. It returns the
cleaned text or a `Rejection`. Filters are deterministic: random draws use the row's seed.
"""

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature

from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.synthesize.markdown import without_markdown

_EXCERPT = 300


@dataclass(frozen=True)
class Context:
    """What a filter may know besides the answer.

    segment: the passage that was asked about. segment_tokens: its length in engine tokens.
    """

    segment: str
    segment_tokens: int
    lead_in: str
    seed: int


@dataclass(frozen=True)
class Rejection:
    """Why an answer is dropped: a reason code, and the measured value with an excerpt."""

    reason: str
    detail: str


Result = str | Rejection


def clean(answer: str, prompt: Prompt, context: Context) -> Result:
    """The answer after all of the prompt's post-filters, or the first rejection."""
    result: Result = answer.strip()
    for name, arguments in (("", {}), *prompt.postfilters):
        if name:
            assert isinstance(result, str)
            result = FILTERS[name](result, context, **arguments)
        if isinstance(result, str):
            result = result.strip() or Rejection("synthesize.empty", excerpt(answer))
        if isinstance(result, Rejection):
            return result
    return result


def check(prompt: Prompt) -> None:
    """Raises RecipeError if the prompt names a post-filter or an argument that does not exist."""
    for name, arguments in prompt.postfilters:
        if name not in FILTERS:
            raise RecipeError(
                f"{prompt.path}: there is no post-filter {name!r}", nearest(name, FILTERS)
            )
        known = list(signature(FILTERS[name]).parameters)[2:]
        for argument in arguments:
            if argument not in known:
                raise RecipeError(
                    f"{prompt.path}: post-filter {name} has no argument {argument!r}",
                    f"it has {', '.join(known)}" if known else "it takes none",
                )
        if name == "lead_in" and not prompt.lead_in:
            raise RecipeError(
                f"{prompt.path}: post-filter lead_in needs a lead-in line", "add `lead_in:`"
            )


def excerpt(text: str) -> str:
    """The beginning of a text on one line, for the detail of an exclusion."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _EXCERPT else flat[: _EXCERPT - 3] + "..."


_CANNOT = r"(?:can(?:not|['’]?t)|(?:am|was|are) (?:not able|unable)|unable to|(?:won|don)['’]?t)"
_SORRY = (
    r"(?:(?:i['’]?m|i am|we['’]?re)\s+(?:very |so |really )?sorry|sorry|(?:my|our) apologies"
    r"|i apologi[sz]e|unfortunately)"
)
_TASKS = (
    "help|assist|provide|fulfil+|comply|rewrite|rephrase|process|generate|create|complete|access"
    "|open|browse|see|find|answer|summari[sz]e|extract|do (?:that|this)"
)
_REFUSAL = re.compile(
    "|".join(
        (
            rf"{_SORRY}[\s,.:;!–—-]*(?:but|that|for)?[^.\n]{{0,60}}?\b{_CANNOT}",
            r"i\s+(?:can(?:not|['’]?t)|am (?:not able|unable) to|won['’]?t be able to)\s+"
            rf"(?:\w+\s+){{0,3}}?(?:{_TASKS})",
            r"as\s+an?\s+(?:ai|a\.i\.|artificial|(?:large )?language model)\b",
            r"(?:there is|i see)\s+no\s+(?:text|passage)\b",
            r"you (?:have not|haven['’]?t|did not|didn['’]?t)\s+provided?\s+(?:any|a|the)"
            r" (?:text|passage)",
            r"the (?:passage|text)\s+(?:you provided )?(?:is|seems|appears)\s+(?:to be )?"
            r"(?:empty|missing|incomplete)\b",
        )
    ),
    re.IGNORECASE,
)


def refusal(text: str, context: Context) -> Result:
    """Drop answers that decline, apologise for what they cannot do, or miss the text."""
    bare = text.lstrip("*_#>\"'“‘ \t\n")
    if context.lead_in:
        cut = _after_lead_in(bare, context.lead_in)
        bare = bare if cut is None else cut.lstrip("*_#>\"'“‘ \t\n")
    return Rejection("synthesize.refusal", excerpt(text)) if _REFUSAL.match(bare) else text


def markdown(text: str, context: Context) -> Result:
    """Plain text: see `stages.synthesize.markdown`."""
    return without_markdown(text)


def lead_in(text: str, context: Context, required: bool = True) -> Result:
    """Require the lead-in line at the beginning, and cut it. Case, spacing and quotes around it
    may differ.

    If it is not `required`, cut it only where it is.
    """
    rest = _after_lead_in(text, context.lead_in)
    if rest is not None:
        return rest
    return Rejection("synthesize.lead_in_missing", excerpt(text)) if required else text


def _after_lead_in(text: str, line: str) -> str | None:
    words = [re.escape(word) for word in line.rstrip(":").split()]
    found = re.match(
        r"[\"'“‘*_#\s]*" + r"\s+".join(words) + r"[*_]*\s*:[\"'”’*_]*(?=\s|$)", text, re.IGNORECASE
    )
    return text[found.end() :] if found else None


_QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“", "「": "」"}


def outer_quotes(text: str, context: Context) -> Result:
    """Strip quotes around the whole answer. Quotes that close before the end are speech, and
    stay.
    """
    if len(text) < 2 or _QUOTES.get(text[0]) != text[-1]:
        return text
    opening, closing, inner = text[0], text[-1], text[1:-1]
    depth = 0
    for sign in inner:
        if opening == closing:
            if sign == opening:
                return text
        elif sign in (opening, closing):
            depth += 1 if sign == opening else -1
            if depth < 0:
                return text
    return inner


_WORD = re.compile(r"\w+|[^\w\s]")


def repetition(
    text: str, context: Context, most: float = 0.3, window: int = 8, fewest: int = 40
) -> Result:
    """Drop runaway answers: more than the share `most` of runs of `window` words occurred before.

    Answers of less than `fewest` words pass. The threshold is our own: prose and
    question-answer sets lie below 0.05, and a loop goes towards 1.
    """
    words: Sequence[str] = _WORD.findall(text.lower())
    if len(words) * 15 < len(text):  # a script without spaces
        words = [sign for sign in text if not sign.isspace()]
    total = len(words) - window + 1
    if len(words) < fewest or total < 1:
        return text
    runs = Counter(tuple(words[place : place + window]) for place in range(total))
    share = 1 - len(runs) / total
    if share > most:
        return Rejection(
            "synthesize.repetition", f"repeated={share:.2f} > {most:g}: {excerpt(text)}"
        )
    return text


_LABEL = re.compile(
    r"(?i)^[ \t]*(?:the[ \t]+)?(?:passage|section|textbook section|text)[ \t]*(?:\d+)?[ \t]*:[ \t]*"
)


def passage_labels(text: str, context: Context) -> Result:
    """Cut labels such as `Passage:` or `Passage 2:` from the beginning of lines."""
    lines = []
    for line in text.split("\n"):
        bare = _LABEL.sub("", line)
        if bare.strip() or not line.strip():
            lines.append(bare)
    return "\n".join(lines)


_BULLET = re.compile(r"^[ \t]*(?:[-*+•‣▪●–—]|\(?\d{1,3}[.)])[ \t]+")


def bullets(text: str, context: Context) -> Result:
    """Leave one fact a line, without bullets or numbers, each fact once.

    Text before the first bullet is no fact and is removed. So is text after a blank line that
    has no bullet. A line right below a bullet's line continues it.
    """
    facts: list[str] = []
    open_fact = False
    for line in text.split("\n"):
        mark = _BULLET.match(line)
        if mark:
            facts.append(line[mark.end() :].strip())
            open_fact = True
        elif not line.strip():
            open_fact = False
        elif open_fact:
            facts[-1] += " " + line.strip()
    once: dict[str, str] = {}
    for fact in filter(None, facts):
        once.setdefault(fact.casefold(), fact)
    return "\n".join(once.values()) if once else Rejection("synthesize.no_bullets", excerpt(text))


_MARK = re.compile(
    r"(?i)^[ \t]*(?:[-*•][ \t]+|\(?\d{1,2}[.)][ \t]*)?(question|answer)[ \t]*\d{0,2}[ \t]*:[ \t]*"
)


def question_answer(
    text: str,
    context: Context,
    pairs_per_150_tokens: float = 10,
    append_to_passage: bool = True,
    drawn: bool = True,
) -> Result:
    """Leave question-answer pairs behind their passage, in shuffled order.

    The number of pairs is drawn from 1 to max(1, 10 x passage tokens / 150). A question without
    an answer, or asked before, is left out. Shuffle and draw use the row's seed. If the pairs are
    not `drawn`, all of them stay in order.
    """
    pairs = question_answer_pairs(text)
    if not pairs:
        return Rejection("synthesize.no_answered_question", excerpt(text))
    if drawn:
        most = max(1, int(pairs_per_150_tokens * context.segment_tokens / 150))
        chance = random.Random(context.seed)
        chance.shuffle(pairs)
        pairs = pairs[: chance.randint(1, most)]
    written = "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in pairs)
    return f"{context.segment}\n\n{written}" if append_to_passage else written


def question_answer_pairs(text: str) -> list[tuple[str, str]]:
    """(question, answer) in order. Each may have several lines. Incomplete pairs and repeated
    questions are left out.
    """
    parts: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        mark = _MARK.match(line)
        if mark:
            parts.append((mark[1].lower(), [line[mark.end() :].strip()]))
        elif parts and line.strip():
            parts[-1][1].append(line.strip())
    pairs: dict[str, tuple[str, str]] = {}
    for (first, question_lines), (second, answer_lines) in itertools.pairwise(parts):
        question, answer = (
            "\n".join(filter(None, lines)) for lines in (question_lines, answer_lines)
        )
        if (first, second) == ("question", "answer") and question and answer:
            pairs.setdefault(" ".join(question.casefold().split()), (question, answer))
    return list(pairs.values())


def labels(text: str, context: Context, begin: Sequence[str] = ()) -> Result:
    """Drop answers without lines that begin with each of these words, in this order."""
    place = 0
    for label in begin:
        found = re.compile(rf"^[ \t]*{re.escape(label)}", re.IGNORECASE | re.MULTILINE)
        line = found.search(text, place)
        if line is None:
            return Rejection("synthesize.label_missing", f"no line with {label!r}: {excerpt(text)}")
        place = line.end()
    return text


_RULE = re.compile(r"^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$")


def table(text: str, context: Context, least_rows: int = 2) -> Result:
    """Drop answers without a Markdown table: a header, a rule, and rows of as many cells."""
    lines = [line.strip() for line in text.split("\n")]
    for place in range(1, len(lines)):
        if not _RULE.match(lines[place]) or "|" not in lines[place - 1]:
            continue
        wide = _cells(lines[place])
        rows = list(itertools.takewhile(lambda line: "|" in line, lines[place + 1 :]))
        if len(rows) >= least_rows and {wide} == {*map(_cells, [lines[place - 1], *rows])}:
            return text
    return Rejection("synthesize.no_table", excerpt(text))


def _cells(line: str) -> int:
    return len(re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|")))


FILTERS: Mapping[str, Callable[..., Result]] = {
    "refusal": refusal,
    "markdown": markdown,
    "lead_in": lead_in,
    "outer_quotes": outer_quotes,
    "repetition": repetition,
    "passage_labels": passage_labels,
    "bullets": bullets,
    "question_answer": question_answer,
    "labels": labels,
    "table": table,
}
