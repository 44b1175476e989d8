"""What a model puts around its answer: lead-in lines, courtesies, quotes, labels, its prompt."""

import re
from typing import Annotated

from corpusmill.stages.synthesize.postfilters.markdown import without_markdown
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from pydantic import Field


def markdown(text: str, context: Context) -> Result:
    """Plain text: see `stages.synthesize.postfilters.markdown`."""
    return without_markdown(text)


def lead_in(text: str, context: Context, required: bool = True) -> Result:
    """Require the lead-in line at the beginning, and cut it. Case, spacing and quotes around it
    may differ.

    If it is not `required`, cut it only where it is.
    """
    rest = after_lead_in(text, context.lead_in)
    if rest is not None:
        return rest
    return Rejection("lead_in_missing", excerpt(text)) if required else text


def after_lead_in(text: str, line: str) -> str | None:
    """The text behind the lead-in line. None if it does not begin with it."""
    words = [re.escape(word) for word in line.rstrip(":").split()]
    found = re.match(
        r"[\"'“‘*_#\s]*" + r"\s+".join(words) + r"[*_]*\s*:[\"'”’*_]*(?=\s|$)", text, re.IGNORECASE
    )
    return text[found.end() :] if found else None


_EAGER = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|gladly|okay|ok|great|understood|natürlich|"
    r"gerne|selbstverständlich|bien sûr|certainement|claro(?: que sí)?|por supuesto|certo|"
    r"certamente|конечно|好的|当然(?:可以)?|もちろん(?:です)?)"
)
_HERE = (
    r"(?:here(?:['’]s| is| are)|below (?:is|are)|the following (?:is|are)|this is|i['’]ve|i have|"
    r"hier (?:ist|sind)|voici|aquí (?:está|tienes?|tiene)|ecco|aqui está|вот|以下(?:是|は)|这是)"
)
# What the answer is, in the words of somebody who hands it over.
_WORK = (
    r"(?:text|passage|version|rewrit\w*|rewrote|rephras\w*|paraphras\w*|condensed?|summar\w*|"
    r"article|section|textbook|questions?|answers?|q&a|faqs?|pairs|list|facts|table|tutorial|"
    r"lesson|problems?|response|fassung|zusammenfassung|liste|fragen|résumé|texte|liste|"
    r"réécri\w*|resumen|texto|lista|preguntas|testo|riassunto|текст\w*|версия|文|版|总结|摘要)"
)
_OPENING = re.compile(
    rf"(?:{_EAGER}[!,.。！，、:]?\s*)?{_HERE}[^\n]{{0,120}}?{_WORK}[^\n]{{0,80}}?[:：][*_]*\s*(?:\n|$)"
    rf"|{_EAGER}\s*[!.。！]+\s*(?=\n|{_HERE})"
    r"|(?:the )?(?:rewritten|rephrased|paraphrased|revised|condensed|summari[sz]ed|simplified)\s+"
    r"(?:text|passage|version|article)[*_]*\s*[:：][*_]*\s*(?:\n|$)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:\(?end of (?:the )?(?:text|passage|answer)\.?\)?\s*$"
    r"|(?:i|we) hope (?:this|that|it|these)\b[^\n]{0,40}\b(?:help|useful|meets|what you)"
    r"|(?:please )?(?:let me know|feel free to|do not hesitate|don['’]t hesitate)\b"
    r"|(?:would|do) you (?:like|want) me to\b"
    r"|is there anything else\b"
    r"|if you(?: have|['’]d like| would like| need)\b[^\n]{0,60}\b(?:questions?|help|changes|more|"
    r"adjust\w*|me to)\b"
    r"|(?:\(?\**note\**:\**\s*)?(?:this|the|i(?:['’]ve| have)?)\s+(?:above )?"
    r"(?:rewritten|rewrite|rephrased|revised|condensed|shortened|response|version|answer)\b"
    r"[^\n]{0,80}\b(?:maintain|preserv|keep|retain|captur|ensur|adher|follow|avoid|focus)"
    r"|\(?\**(?:word count|note)\**:\**\s*(?:\d+|this|the|i)\b"
    r"|ich hoffe,? (?:das|dies)\b|lassen sie (?:es )?mich wissen|j['’]espère que|n['’]hésitez pas"
    r"|espero que (?:esto|te|le)\b|no dudes? en|spero che|надеюсь|дайте мне знать|希望(?:这|对)"
    r"|如果您?(?:有|需要))",
    re.IGNORECASE,
)
_LONGEST_COURTESY = 400  # characters


def chatter(text: str, context: Context) -> Result:
    """Cut courtesies before and after the answer: `Sure! Here is the text:`, `I hope this helps!`.

    What the passage itself says stays.
    """
    found = _OPENING.match(text.lstrip("*_# \n"))
    if found:
        skipped = len(text) - len(text.lstrip("*_# \n"))
        text = text[skipped + found.end() :].lstrip("*_ \n")
    while True:
        text = text.rstrip()
        last = text[max(text.rfind("\n") + 1, 0) :]
        found = _CLOSING.match(last.lstrip("*_-–— "))
        if not found or len(last) > _LONGEST_COURTESY or says(context.segment, found[0]):
            break
        text = text[: len(text) - len(last)].rstrip()
        text = re.sub(r"\n[-*_–—]{3,}\Z", "", text)
    return text or Rejection("empty", "nothing but courtesies")


# Of the line that hands over a transcript. A page may say "Here is the text:" itself.
_IMAGE = (
    r"image|picture|photo|scan|\bpage|document|bild|seite|imagen|página|imagem|immagine|pagina|"
    r"изображен|图|画像|이미지"
)
_TEXT = r"\btext|\bcontents?\b|texto|testo|текст|文|내용"
_TRANSCRIPT = re.compile(
    rf"(?:{_EAGER}[!,.。！，、:]?\s*)?"
    rf"(?=[^\n]*(?:transcri|{_IMAGE}))(?=[^\n]*(?:transcri|{_TEXT}))"
    rf"{_HERE}[^\n]{{0,160}}[:：][*_]*[ \t]*(?:\n|$)",
    re.IGNORECASE,
)


def transcript(text: str, context: Context) -> Result:
    """Cut a first line such as `Here is the text of the image:`.

    Of a page that was read, the words are not known. So all other courtesies stay.
    """
    skipped = len(text) - len(text.lstrip("*_# \n"))
    found = _TRANSCRIPT.match(text, skipped)
    return text[found.end() :] if found else text


def says(passage: str, words: str) -> bool:
    """Whether the passage has these words in a row. Case and spacing may differ."""
    return " ".join(words.split()).casefold() in " ".join(passage.split()).casefold()


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


_WORD = re.compile(r"\w+")


def prompt_copy(
    text: str, context: Context, window: Annotated[int, Field(ge=4, le=50)] = 8
) -> Result:
    """Drop answers that repeat `window` words in a row of the instruction.

    Words that the passage has too do not count.
    """
    asked = _runs(context.instruction, window) - _runs(context.segment, window)
    words = _WORD.findall(text.casefold())
    for place in range(len(words) - window + 1):
        run = tuple(words[place : place + window])
        if run in asked:
            return Rejection("prompt_copy", f"{' '.join(run)!r}: {excerpt(text)}")
    return text


def _runs(text: str, window: int) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return {tuple(words[place : place + window]) for place in range(len(words) - window + 1)}
