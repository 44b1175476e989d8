"""Refusals: answers that decline, apologise for what they cannot do, or miss the text."""

import re

from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from corpusmill.stages.synthesize.postfilters.wrapping import after_lead_in, says
from pydantic import PositiveInt

_CANNOT = r"(?:can(?:not|['’]?t)|(?:am|was|are) (?:not able|unable)|unable to|(?:won|don)['’]?t)"
_SORRY = (
    r"(?:(?:i['’]?m|i am|we['’]?re)\s+(?:very |so |really )?sorry|sorry|(?:my|our) apologies"
    r"|i apologi[sz]e|unfortunately)"
)
_TASKS = (
    "help|assist|provide|fulfil+|comply|rewrite|rephrase|process|generate|create|complete|access"
    "|open|browse|see|find|answer|summari[sz]e|extract|do (?:that|this)"
)
# What a refusal to read a page names.
_NAMED = re.compile(
    r"\b(?:images?|pictures?|photos?|scans?|pages?|texts?|documents?|help|assist|transcri\w+|bild\w*"
    r"|seite|helfen|aider|texte|imagen|página|texto|ayudar\w*|imagem|ajudar|immagine|pagina|testo"
    r"|aiut\w+)\b|изображен|текст|помочь|图|帮|文|画像|手伝|이미지|도와",
    re.IGNORECASE,
)
# The usual first words of a refusal in other languages.
_ELSEWHERE = (
    r"(?:es tut mir (?:sehr )?leid|entschuldigung|leider)\b[^.\n]{0,60}?"
    r"\bkann (?:ich )?(?:\w+ ){0,4}?nicht",
    r"ich kann (?:\w+ ){0,4}?nicht (?:helfen|umschreiben|beantworten|erstellen|bearbeiten)",
    r"(?:je suis (?:vraiment )?désolée?|désolée?|malheureusement)\b[^.\n]{0,40}?\bje ne peux pas",
    r"(?:lo siento|lamentablemente|lo lamento)\b[^.\n]{0,40}?\bno puedo",
    r"(?:(?:sinto muito|desculpe|lamento)\b[^.\n]{0,40}?\bnão posso)",
    r"(?:mi dispiace|purtroppo)\b[^.\n]{0,40}?\bnon posso",
    r"(?:извините|к сожалению|простите)\b[^.\n]{0,40}?\bне могу",
    r"(?:抱歉|对不起|很遗憾)[^。\n]{0,20}?(?:无法|不能)",
    r"(?:申し訳(?:ありません|ございません)|すみません)[^。\n]{0,30}?(?:でき(?:ません|ない)|いたしかねます)",
    r"(?:죄송합니다|죄송하지만)[^.\n]{0,30}?(?:없습니다|없어요)",
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
            *_ELSEWHERE,
        )
    ),
    re.IGNORECASE,
)


def refusal(text: str, context: Context, longest: PositiveInt | None = None) -> Result:
    """Drop answers that decline, apologise for what they cannot do, or miss the text.

    Words that the passage has too are no refusal. An answer of more than `longest` characters
    passes: where the passage is an image, its words are not known. So does one whose first line
    names neither an image, a page, a text nor help: letters decline invitations.
    """
    if longest is not None:
        first = text.strip().partition("\n")[0]
        if len(text) > longest or not _NAMED.search(first):
            return text
    bare = text.lstrip("*_#>\"'“‘ \t\n")
    if context.lead_in:
        cut = after_lead_in(bare, context.lead_in)
        bare = bare if cut is None else cut.lstrip("*_#>\"'“‘ \t\n")
    found = _REFUSAL.match(bare)
    if found and not says(context.segment, found[0]):
        return Rejection("refusal", excerpt(text))
    return text
