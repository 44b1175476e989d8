"""Numbers in texts as values: in digits of any script, in words, with a scale, as months.

`1,234`, `1 234` and `1.234` may be the same value, so a number has all values that it can be read
as. Two texts agree on a number if they share one of them.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBER = re.compile(
    r"(?P<grouped>\d{1,3}(?:[ \u00a0\u2009\u202f'’]\d{3})+(?!\d)(?:[.,]\d+)?)"
    r"|(?P<plain>\d+(?:[.,:]\d+)*)"
)
_SCALES = {
    "hundred": 100, "thousand": 1e3, "k": 1e3, "tausend": 1e3, "mille": 1e3, "mil": 1e3, "тыс": 1e3,
    "万": 1e4, "m": 1e6, "million": 1e6, "millions": 1e6, "millionen": 1e6, "mio": 1e6,
    "millones": 1e6, "milioni": 1e6, "milhões": 1e6, "млн": 1e6, "亿": 1e8, "億": 1e8, "b": 1e9,
    "bn": 1e9, "billion": 1e9, "billions": 1e9, "milliarden": 1e9, "milliards": 1e9, "mrd": 1e9,
    "млрд": 1e9, "trillion": 1e12,
}  # fmt: skip
_SCALE = re.compile(
    r"[ \u00a0-]?(" + "|".join(sorted(_SCALES, key=len, reverse=True)) + r")\b", re.I
)
_WORDS = {
    word: float(value)
    for words in (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty",
        "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "zéro un deux trois quatre cinq six sept huit neuf dix onze douze",
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici",
        "ноль один два три четыре пять шесть семь восемь девять десять",
        "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
        "- once twice thrice",
        "- single double triple",
        "- eine beiden",
        "- a pair",
    )
    for value, word in enumerate(words.split())
    if word not in ("-", "a")
}
_TENS = {
    "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0,
    "eighty": 80.0, "ninety": 90.0, "hundred": 100.0,
}  # fmt: skip
_SPELLED = {**_WORDS, **_TENS, "dozen": 12.0, "half": 0.5, "thousand": 1e3, "million": 1e6}
_MONTHS = {
    name: number
    for names in (
        "january february march april may june july august september october november december",
        "jan feb mar apr - jun jul aug sep oct nov dec",
        "januar februar märz - mai juni juli - - oktober - dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gennaio febbraio - aprile maggio giugno luglio - settembre ottobre - dicembre",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        "- - - - - - - - sept - - -",
    )
    for number, name in enumerate(names.split(), 1)
    if name != "-"
}
# Number words that an answer may not add. Smaller ones count what the passage names, and larger
# ones are scales.
_LEAST_SPELLED, _MOST_SPELLED = 11, 99
_NO_NUMBERS = {"elf"}  # a number in German, and an English word
# Words that are months only beside a number.
_AMBIGUOUS = {"may", "march", "mars", "mar", "jan", "dec", "sep", "sept", "mai", "mayo", "mil"}
_CHINESE_DIGITS = "〇一二三四五六七八九"
_CHINESE_TENS = {"十": 10, "百": 100, "千": 1000}
_CHINESE = re.compile(f"[{_CHINESE_DIGITS}{''.join(_CHINESE_TENS)}]+")
_WORD = re.compile(r"[^\W\d_]+")
_ENUMERATION = re.compile(
    r"^[ \t]*(?:[-*•][ \t]*)?"
    r"(?:(?:step|question|answer|problem|solution|schritt|étape|paso)[ \t]*)?"
    r"\(?\d{1,3}[.):](?=[ \t]|$)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Number:
    """A number or a month at characters [start, end). values: all that it can be read as.

    Months are values below zero, so that they differ from numbers.
    """

    start: int
    end: int
    values: frozenset[float | str]


def is_spelled(word: str) -> bool:
    """Whether a word is a number."""
    return word.casefold() in _SPELLED


def is_month(word: str) -> bool:
    """Whether a word may be the name of a month."""
    return word.casefold() in _MONTHS


def written(text: str) -> Iterator[Number]:
    """Numbers in digits and in words, and months by name. Marks of numbered lists are none."""
    skipped = {found.span() for found in _ENUMERATION.finditer(text)}
    marks = {place for start, end in skipped for place in range(start, end)}
    for found in _NUMBER.finditer(text):
        if found.start() not in marks:
            yield Number(*found.span(), frozenset(_values(found, text)))
    for found in _WORD.finditer(text):
        month = _MONTHS.get(found[0].casefold())
        if month and _is_month(found, text):
            yield Number(*found.span(), frozenset({-float(month)}))
    yield from _spelled(text)


def _spelled(text: str) -> Iterator[Number]:
    """Numbers in words, such as `eighteen` and `twenty-one`. Parts of larger ones are left out."""
    words = list(_WORD.finditer(text))
    spelled = [word[0].casefold() for word in words]
    for place, word in enumerate(spelled):
        value = _SPELLED.get(word, 0)
        before, behind = spelled[place - 1 : place], spelled[place + 1 : place + 2]
        if word in _NO_NUMBERS or not _LEAST_SPELLED <= value <= _MOST_SPELLED:
            continue
        if {*before, *behind} & _SCALES.keys():
            continue
        units = {_WORDS.get(unit, 0.0) for unit in behind if word in _TENS}
        yield Number(*words[place].span(), frozenset({value, *(value + unit for unit in units)}))


def known_values(text: str) -> set[float | str]:
    """Every value that a text knows: its numbers, their parts, number words, months of dates."""
    known: set[float | str] = set()
    for number in written(text):
        known |= number.values
        for part in re.findall(r"\d+", text[number.start : number.end]):
            known.add(_value(part))
    for found in _NUMBER.finditer(text):  # marks of lists too
        known |= _values(found, text)
    for found in re.finditer(r"\b(\d{1,4})[-./](\d{1,2})[-./](\d{1,4})\b", text):
        known |= {-_value(part) for part in found.groups() if 1 <= _value(part) <= 12}
    words = [word.casefold() for word in _WORD.findall(text)]
    for place, word in enumerate(words):
        if word in _SPELLED:
            known.add(_SPELLED[word])
            following = words[place + 1] if place + 1 < len(words) else ""
            if word in _TENS and following in _WORDS:
                known.add(_TENS[word] + _WORDS[following])
            if following in _SCALES:
                known.add(_SPELLED[word] * _SCALES[following])
        if word in _MONTHS:
            known.add(-float(_MONTHS[word]))
    for found in _CHINESE.finditer(text):
        known.add(_chinese(found[0]))
    return known


def supported(number: Number, text: str, known: set[float | str]) -> bool:
    """Whether one of a number's values is known, or all the parts that it joins."""
    if not number.values.isdisjoint(known):
        return True
    parts = re.findall(r"\d+", text[number.start : number.end])
    joined = re.search(r"[ \u00a0\u2009\u202f:]", text[number.start : number.end])
    return joined is not None and all(_value(part) in known for part in parts)


def _values(found: re.Match[str], text: str) -> set[float | str]:
    written_as = found[0]
    if found["grouped"]:
        plain = re.sub(r"[ \u00a0\u2009\u202f'’]", "", written_as).replace(",", ".")
        values: set[float | str] = {_value(plain)}
    elif len(marks := re.findall(r"[.,:]", written_as)) == 0:
        values = {_value(written_as)}
    elif len(marks) == 1 and marks[0] != ":":
        whole, _, rest = written_as.replace(",", ".").partition(".")
        values = {_value(f"{whole}.{rest}")}
        if len(rest) == 3 and len(whole) <= 3:
            values.add(_value(whole + rest))
    elif re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?", written_as):
        last = written_as[max(written_as.rfind("."), written_as.rfind(","))]
        thousands = "," if written_as.count(",") > 1 or last == "." else "."
        values = {_value(written_as.replace(thousands, "").replace(",", "."))}
    else:  # a version, a time, an address
        values = {written_as}
    scale = _SCALE.match(text, found.end())
    if scale:
        factor = _SCALES[scale[1].casefold()]
        values |= {value * factor for value in values if isinstance(value, float)}
    return {round(value, 6) if isinstance(value, float) else value for value in values}


def _value(digits: str) -> float:
    plain = "".join(str(unicodedata.digit(sign)) if sign.isdigit() else sign for sign in digits)
    return float(plain)


def _chinese(signs: str) -> float:
    """A number below ten thousand in Chinese signs: 十一, 三百二十, or digit by digit: 二〇一五."""
    if not set(signs) & _CHINESE_TENS.keys():
        return float("".join(str(_CHINESE_DIGITS.index(sign)) for sign in signs))
    total, digit = 0, 0
    for sign in signs:
        if sign in _CHINESE_TENS:
            total += (digit or 1) * _CHINESE_TENS[sign]
            digit = 0
        else:
            digit = _CHINESE_DIGITS.index(sign)
    return float(total + digit)


def _is_month(found: re.Match[str], text: str) -> bool:
    word = found[0]
    if word.casefold() not in _AMBIGUOUS:
        return True
    around = text[max(0, found.start() - 6) : found.start()] + text[found.end() : found.end() + 6]
    if word in ("March", "May") and re.search(
        r"[a-z,] \Z", text[max(0, found.start() - 2) : found.start()]
    ):  # within a sentence
        return True
    return any(map(str.isdigit, around)) and (word[0].isupper() or word == "mai")
