"""How much a text looks as if it was read with a wrong charset.

A wrong charset gives text that nobody writes: signs within words, capitals behind small letters,
words of accented letters only, two scripts in one word, rare ideographs, bytes without a character.
Each such character has a cost. The mean cost over the characters beyond ASCII tells charsets apart.

Charsets of Latin letters put other letters in the same places, so their wrong readings look alike.
They are told apart by alphabets: the accented letters of a text are those of one language that the
charset is for.
"""

import functools
import re
import unicodedata
from collections import Counter

_WORD = re.compile(r"[A-Za-z\x80-\U0010ffff]+[0-9]?")  # a digit that follows tells of signs
_BEYOND = re.compile(r"[^\x00-\x7f]")
_REACH = 200_000  # characters of a text that are looked at, in windows
_WINDOWS = 4
_SAMPLE = 1500  # characters beyond ASCII that are judged
BROKEN = 4.0  # the cost of a byte without a character

# The commonest letters of languages that share a script: in running text, two letters of three.
_COMMON = {
    "CYRILLIC": "оеаинтсрвлкмдпуяьиіїєъ",
    "GREEK": "αοιετσνηυρπκμλςόάίέήύώ",
    "HEBREW": "יוהלאמרתבנשעדק",
    "ARABIC": "الينموتربهدعكفسحیکأإءًٌٍَُِّْ",
    "THAI": "านรอกเงมยลวดทสตะปบคหแ่้ัิี็์",
}
# The letters beyond ASCII of the languages that a charset is for, one language after the other.
_ALPHABETS = {
    "cp1252": (
        "àâæçéèêëîïôœùûüÿ äöüß áéíñóúü àáâãçéêíóôõúü àèéìîòóùú åäöé æøåéòó áéíóúýðþæö çë "
        "àçèéíïòóúü éèëïöüáóúí åäöšž áéíóú áàéíóúâêîôûŵŷ"
    ),
    "cp1250": "ąćęłńóśźż áčďéěíňóřšťúůýž áäčďéíĺľňóôŕšťúýž áéíóöőúüű ăâîşţșț čćđšž äöüß",
    "cp1254": "âçğıîöşûüi̇ əçğıöşü",
    "cp1257": "ąčęėįšųūž āčēģīķļņšūžōŗ äöõüšž",
}
_FAMILY = {
    "iso8859-1": "cp1252",
    "iso8859-15": "cp1252",
    "iso8859-2": "cp1250",
    "iso8859-9": "cp1254",
    "iso8859-13": "cp1257",
}
_FOREIGN = 0.4  # the cost of a Latin letter that is in another alphabet than most of the text
_IN_WORDS = "’ʼ´`'·\xad\u200c\u200d-‐‑–—ªº°ºˈ"
_ALONE = "àáéèêíóòôöåæøúùÀÁÉÈÊÍÓÒÔÖÅÆØÚÙ"  # accented letters that are words
_IDEOGRAPH, _KANA, _HANGUL, _HALF = "IDEOGRAPH", "KANA", "HANGUL", "HALF"


def cost(text: str, codec: str) -> float:
    """The mean cost of a text's characters beyond ASCII, as it was read with `codec`.

    0 for a text that looks right, 1 and more for a wrong reading.
    """
    total, count = 0.0, 0
    letters: list[str] = []
    for word in _words(text):
        beyond = _BEYOND.findall(word)
        total += _word_cost(word, codec)
        count += len(beyond)
        letters += beyond
        if count >= _SAMPLE:
            break
    return (total + _FOREIGN * _foreign(Counter(letters), codec)) / count if count else 0.0


def _foreign(letters: Counter[str], codec: str) -> int:
    """How many of the Latin letters are not in the alphabet that has most of them.

    A charset of no known family is compared with all alphabets.
    """
    latin = {
        letter.lower(): count
        for letter, count in letters.items()
        if _described(letter, codec)[0] == "LATIN"
    }
    own = _ALPHABETS.get(_FAMILY.get(codec, codec)) or " ".join(_ALPHABETS.values())
    return min(
        sum(count for letter, count in latin.items() if letter not in alphabet)
        for alphabet in own.split()
    )


def _words(text: str) -> list[str]:
    """The words with characters beyond ASCII, from all parts of the text."""
    if len(text) > _REACH:
        step = len(text) // _WINDOWS
        width = _REACH // _WINDOWS
        text = " ".join(text[at * step : at * step + width] for at in range(_WINDOWS))
    found = [word for word in _WORD.findall(text) if not word.isascii()]
    step = 1 + sum(map(len, found)) // (3 * _SAMPLE)
    return found[::step]


def _word_cost(word: str, codec: str) -> float:
    if len(word) == 1 and word not in _ALONE and _described(word, codec)[0] == "LATIN":
        return 0.3
    total = 0.0
    before = ""
    before_script = ""
    last = len(word) - 1
    if last == 1 and word[1].isdigit() and _is_latin_capital(word[0], codec):
        total += 1.0  # `£5` and `¥5` in ISO 8859-2 are `Ł5` and `Ľ5`
    for place, character in enumerate(word):
        script, own = _described(character, codec)
        if script:  # a letter
            total += own
            if before_script:
                if script != before_script:
                    total += _mixed(script, before_script)
                elif before.islower() and character.isupper():
                    total += 1.0
                elif script == "LATIN" and character > "\x7f" and before > "\x7f":
                    total += 0.7
        elif character not in _IN_WORDS or not 0 < place < last:
            inside = 0 < place < last and before_script and word[place + 1].isalpha()
            total += own if own >= 2 or not inside else 1.5
        before, before_script = character, script
    return total


def _is_latin_capital(character: str, codec: str) -> bool:
    return character.isupper() and _described(character, codec)[0] == "LATIN"


def _mixed(script: str, before: str) -> float:
    pair = {script, before}
    if pair <= {_IDEOGRAPH, _KANA}:
        return 0.0
    return 0.6 if pair == {_IDEOGRAPH, _HANGUL} else 1.0


@functools.lru_cache(maxsize=100_000)
def _described(character: str, codec: str) -> tuple[str, float]:
    """The script of a letter (empty for another character), and the character's own cost."""
    if character.isascii():
        return "LATIN" if character.isalpha() else "", 0.0
    category = unicodedata.category(character)
    if character == "\ufffd":
        return "", BROKEN
    if category in ("Cc", "Cn", "Co", "Cs"):
        return "", 3.0
    name = unicodedata.name(character, "")
    if name.startswith(("CJK UNIFIED", "CJK COMPAT")):
        return _IDEOGRAPH, _rarity(character, codec)
    if name.startswith("HANGUL SYLLABLE"):
        return _HANGUL, 0.0 if _has(character, "euc_kr") else 1.0
    if name.startswith(("HIRAGANA", "KATAKANA")):
        return _KANA, 0.0 if codec in ("euc_jp", "cp932") else 1.0
    if name.startswith("HALFWIDTH"):
        return _HALF, 1.0
    if category[0] in "LM":
        script = name.split(" ", 1)[0]
        common = _COMMON.get(script)
        if script == "LATIN":
            return script, 0.0
        return script, 0.0 if common is None or character.lower() in common else 0.35
    if name.startswith(("BOX ", "BLOCK ")):
        return "", 2.0
    if codec in _IDEOGRAPHIC:
        return "", 0.0 if any(ord(character) in signs for signs in _IDEOGRAPHIC_SIGNS) else 0.5
    return "", 0.05 if character in "©®°§£€½¼¾²³¹«»¡¿“”„‘’–—…•·\xa0™×" else 0.2


# Dashes and quotes; arrows and operators; enclosed numbers and shapes; all from U+3000 on.
_IDEOGRAPHIC_SIGNS = (
    range(0x2010, 0x2040),
    range(0x2190, 0x2300),
    range(0x2460, 0x2500),
    range(0x25A0, 0x2700),
    range(0x3000, 0x110000),
)
_IDEOGRAPHIC = ("cp949", "gb18030", "big5hkscs", "euc_jp", "cp932")


def _rarity(character: str, codec: str) -> float:
    """The cost of an ideograph: by its place in the standard, which puts the common ones first."""
    narrow = {"gb18030": "gb2312", "big5hkscs": "big5", "cp932": "euc_jp", "cp949": "euc_kr"}
    try:
        code = character.encode(narrow.get(codec, codec))
    except UnicodeEncodeError:
        return 1.2
    lead = code[0]
    if codec == "gb18030":
        # Hangul's bytes are those of the first half of the common ideographs.
        return 0.25 if lead <= 0xC8 else 0.0 if lead <= 0xD7 else 0.4
    if codec == "big5hkscs":
        return 0.1 if lead <= 0xC6 else 0.7
    if codec in ("euc_jp", "cp932"):
        return 0.15 if lead <= 0xCF else 0.6
    return 0.6


def _has(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
