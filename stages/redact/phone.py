"""Telephone numbers: the one kind without a check digit. So shape, country and the words before it
decide.

A group of digits is a telephone number if one of these holds:

1. It begins with a plus sign, and a country's numbering plan has such numbers.
2. It has the shape of North America, `(212) 555-0123`, `212-555-0123`, `1.212.555.0123`, and the
   plan there has such numbers.
3. A word such as `Tel.`, `fax:`, `call us at` or `电话` stands directly before it. Words that also
   mean the device, such as `手机` or `جوال`, need a colon or the word `number` behind them, or a
   number that begins with 0 or has ten digits: what else follows may be a price or a count.
4. It begins with a trunk 0 (8 in Russia) and is grouped, and the plan of a country of the
   document's language has such numbers.

Dates, years, decimal fractions and numbers of things (ISBN, DOI, CVE...) never count, whatever they
look like. The plans are those of Google's libphonenumber, through its Python port.
"""

import functools
import re

# fmt: off
_WORDS = (
    *("tel(?:efon|ephone|efone|efoon|efono|éphone|éfono|efax|efonnummer|efonu?|é)?", "fon", "fax"),
    *("faks", "phone", "ph", "mob(?:ile|il|iel)?", "móvil", "portable", "handy"),
    *("cell(?: ?phone|ulare|(?=[:.]))", "celular", "gsm", "landline", "hotline", "helpline"),
    *("toll[ -]free", "freephone", "call(?: (?:us|me|now|today|toll[ -]free))?"),
    "text (?:us|to|at)",
    *("dial", "sms", "whatsapp", "rufnummer", "durchwahl", "anruf(?:en)?"),
    *("tél(?:éphone|écopie(?:ur)?)?", "tlf", "telefonszám", "mobiltelefon(?:szám)?", "fone"),
    *("telem[óo]vel", "puh(?=[:.])", "puhelin", "telp", "s?đt"),
)
_WORDS_OF_OTHER_SCRIPTS = (
    *("[Тт]ел(?:ефон)?", "[Тт]эл", "[Мм]об(?:ильный|ільний)?", "[Фф]акс", "[Ττ]ηλ", "κιν(?:ητό)?"),
    *("(?:[وبلف]{0,2}ال|لل)?هاتف", "تلفن", "[ושבל]{0,2}ה?(?:טלפון|נייד)", "טל'", "ტელ", "հեռ"),
    *("दूरभाष", "தொலைபேசி"),
)
_WORDS_WITHOUT_BLANKS = (
    *("电话", "電話", "传真", "傳真", "热线", "熱線", "전화", "팩스", "โทร(?:ศัพท์)?"),
    *("☎", "☏", "✆", "📞", "📱"),
)
_DEVICES = (
    *("(?:[وبلف]{0,2}ال|لل)?(?:جوال|موبايل|موبایل)", "فون", "फ\u093c?ोन", "मोबाइल", "ফোন", "মোবাইল"),
    *("tele?pon", "điện thoại"),
)
_DEVICES_WITHOUT_BLANKS = ("手机", "手機", "มือถือ", "携帯", "휴대폰", "핸드폰")
# fmt: on
# Not behind a letter, vowel sign or joiner: `iPhone` and `microphone` hold `phone` in all scripts.
_AT_LATIN = r"(?<![A-Za-z\u00c0-\u024f\u1e00-\u1eff])"
_AT_WORD = r"(?<![^\W\d_]|[\u064b-\u0655\u0900-\u0963\u0966-\u0dff\u200c])"
_WORD_BEFORE = re.compile(
    rf"(?:{_AT_LATIN}(?:{'|'.join(_WORDS)})|{_AT_WORD}(?:{'|'.join(_WORDS_OF_OTHER_SCRIPTS)})"
    rf"|{'|'.join(_WORDS_WITHOUT_BLANKS)}"
    rf"|(?P<device>{_AT_WORD}(?:{'|'.join(_DEVICES)})|{'|'.join(_DEVICES_WITHOUT_BLANKS)}))"
    r"(?P<number>\.? ?(?:no|nr|number|nummer|br|бр|št)\b)?"
    r"(?:\W{1,3}[^\W\d_]{2,16}(?=\s?[:：]))?"
    r"(?P<signs>[\s.:()=|*#：'\"\u200b-\u200f]*)"
    r"(?:(?:us|is|at|on|or|to|unter|al|au|op|sotto)[\s:]+)?\Z",
    re.IGNORECASE,
)
_COLON = re.compile(r"[:：=]")
_ROUND = re.compile(rb"[1-9]\d*0000|[1-9]\d{0,2}(?:\.\d{3})*\.000")  # a price or a count
_NEVER_AFTER = re.compile(
    r"(?:\b(?:isbn|issn|doi|arxiv|cve|rfc|pmid|iban|bic|kto|konto|blz|iso|iec|din|en|us|id|no|nr"
    r"|ean|gtin|upc|sku|oib|pib|jib|mb|refs?|art|arts|lei|n(?=\.)|n\.?[ºo°]|br|бр|št|čl|чл|ст"
    r"|(?:glasnik|гласник)(?: \w{2,3})?,?)[\s.:#-]{0,2}|[#$€£©°]\s?|[\w/=&%.,~^*-])\Z",
    re.IGNORECASE,
)
JOINED = re.compile(
    rb"(?:\s|\xc2\xa0|[,;/|&(]|\b(?:or|and|oder|und|o|y|e|et|ou|lub|\xe6\x88\x96)\b){1,8}",
    re.IGNORECASE,
)
_GLUED_BEFORE = re.compile(r"[A-Za-z0-9_/=&%#$.,~^*-]\Z")
_MEANS_A_SUM = frozenset(bytes([sign]) for sign in b"0123456789_=&%#$^*~-+)]")
_GROUP = re.compile(rb"\d+")
_GAP = rb"(?:[ ./-]|\xc2\xa0|\xe2\x80[\x89\x90-\x95\xaf])"
_AMERICAN = re.compile(
    rb"(?<![\d.,/-])(?:1"
    + _GAP
    + rb"?)?(?:\([2-9]\d\d\)"
    + _GAP
    + rb"{0,3}|[2-9]\d\d(?P<gap>"
    + _GAP
    + rb"))[2-9]\d\d(?P<second> - |[ .-]|\xc2\xa0|\xe2\x80[\x90-\x95])\d{4}(?![\d/]|[-.,]\d)"
)
_DAY = rb"(?:0?[1-9]|[12]\d|3[01])"  # or month
_BETWEEN = rb"[-./ ]{1,2}"
_DATE = re.compile(
    rb"(?<!\d)(?:(?:19|20)\d\d%(gap)s%(day)s%(gap)s%(day)s|%(day)s%(gap)s%(day)s%(gap)s(?:19|20)\d\d)(?!\d)"
    % {b"day": _DAY, b"gap": _BETWEEN}
)
_SHORT_DATE = re.compile(
    rb"%(day)s%(gap)s%(day)s%(gap)s\d\d(?!\d)" % {b"day": _DAY, b"gap": _BETWEEN}
)
_YEARS = re.compile(rb"\(?(?:1[5-9]|20)\d\d\)?(?:\D{1,5}\(?(?:1[5-9]|20)\d\d\)?)+\Z")
_APART = re.compile(rb"\s[-/]\s|\s\s")
# Excludes a fraction, a lone 0 before another number, and columns.
_TRUNK = re.compile(rb"\(?0(?!\.|\D{0,2}\d+\Z)(?!.*  )")
# Brazil writes its area codes in brackets, without a trunk 0. A landline's number looks like the
# years and numbers of a citation, so it needs its hyphen, and does not end in a year.
_BRAZILIAN = re.compile(
    rb"\([1-9]\d\)%(gap)s?(?:9%(gap)s?\d{4}%(gap)s\d{4}|[2-5]\d{3}-(?!(?:19|20)\d\d)\d{4})"
    % {b"gap": _GAP}
)
_AREA = re.compile(rb"\(\d{1,5}\)\W{0,3}")
_RUSSIAN_TRUNK = re.compile(rb"8(?:[ -]|\xc2\xa0)?\(?[3489]\d\d\)?")
_SPACES = (b" ", b"\xc2\xa0")
# fmt: off
_REGIONS = {  # countries whose numbers a text of this language may write without the country code
    "en": ("GB", "AU", "IE"), "de": ("DE", "AT", "CH"), "fr": ("FR", "BE", "CH"),
    "it": ("IT", "CH"), "nl": ("NL", "BE"), "sv": ("SE",), "fi": ("FI",), "ro": ("RO",),
    "hr": ("HR",), "sk": ("SK",), "uk": ("UA",), "ru": ("RU",), "pt": ("BR",), "tr": ("TR",),
    "he": ("IL",), "ar": ("EG", "SA"), "fa": ("IR",), "hi": ("IN",), "th": ("TH",),
    "vi": ("VN",), "id": ("ID",), "ja": ("JP",), "zh": ("CN", "TW"), "ko": ("KR",),
    "hu": ("HU",), "bg": ("BG",), "sr": ("RS",), "sl": ("SI",), "bs": ("BA",), "mk": ("MK",),
    "sq": ("AL",), "lt": ("LT",), "ka": ("GE",), "ms": ("MY",), "tl": ("PH",), "km": ("KH",),
    "my": ("MM",), "bn": ("BD", "IN"), "ur": ("PK",), "ne": ("NP",), "si": ("LK",), "af": ("ZA",),
    "ta": ("IN", "LK"), "te": ("IN",), "mr": ("IN",), "gu": ("IN",), "kn": ("IN",), "ml": ("IN",),
    "pa": ("IN",),
}
# fmt: on
_LEAST, _MOST = 7, 15  # digits; E.164


def phone_span(
    data: bytes, begin: int, at: int, after: int, language: str | None, follows_phone: bool = False
) -> tuple[int, int] | None:
    """The place of a telephone number among the groups of digits `data[at:after]`; None if there is
    none.

    begin: of the line. language: of the text. follows_phone: whether it follows a telephone number,
    with only an `or`, a comma or the like between.
    """
    if data[at : at + 1] == b"(" and b")" not in data[at:after]:
        at += 1
    spelled = data[at:after]
    before = data[max(begin, at - 48) : at].decode("utf-8", "ignore")
    if spelled.startswith(b"+") or b"(+" in spelled[:2]:
        return _international(data, at, after, _WORD_BEFORE.search(before) is not None)
    named = follows_phone or _is_named(_WORD_BEFORE.search(before), spelled)
    american = _AMERICAN.search(spelled)
    if american and _is_american(american, spelled, before, data[after : after + 1], named):
        return at + american.start(), at + american.end()
    groups = _GROUP.findall(spelled)
    digits = _digits(spelled)
    if (
        named
        and digits > _MOST
        and all(_LEAST <= _digits(part) <= _MOST for part in _APART.split(spelled))
    ):
        return at, after
    if (
        digits > _MOST
        or _DATE.search(spelled)
        or _YEARS.match(spelled)
        or digits < 2 * len(groups) - 1
    ):
        return None  # too long, a date, years, or digits one by one
    if named:
        return at, after
    if (
        len(groups) < 2
        or _SHORT_DATE.match(spelled)
        or _YEARS.match(_AREA.sub(b"", spelled, count=1))
        or _NEVER_AFTER.search(before)
        or _glued_after(data, after)
    ):
        return None
    plain = b"".join(groups).decode()
    if language == "pt" and _BRAZILIAN.fullmatch(spelled) and _has_number(plain, "BR"):
        return at, after
    if _TRUNK.match(spelled) or (language == "ru" and _RUSSIAN_TRUNK.match(spelled)):
        least = 8 if spelled.startswith(b"(") else 9
        if digits >= least and any(
            _has_number(plain, region) for region in _REGIONS.get(language or "", ())
        ):
            return at, after
    return None


def _is_named(word: re.Match[str] | None, spelled: bytes) -> bool:
    """Whether the word before, if there is one, says that the number is a telephone's."""
    if word is None:
        return False
    if word["number"] or _COLON.search(word["signs"]):
        return True
    if word["signs"].isspace() and _ROUND.fullmatch(spelled):
        return False
    return word["device"] is None or _digits(spelled) >= 10 or spelled.startswith((b"0", b"(0"))


def _international(data: bytes, at: int, after: int, named: bool) -> tuple[int, int] | None:
    """The longest run of groups, from the plus sign on, that is a number of its country's plan."""
    if at > 0 and data[at - 1 : at] in _MEANS_A_SUM:
        return None
    for group in reversed(list(_GROUP.finditer(data, at, after))):
        digits = b"".join(_GROUP.findall(data[at : group.end()]))
        # One digit more for `+49 (0)30`.
        if _LEAST <= len(digits) <= _MOST + 1 and _has_number("+" + digits.decode(), None):
            return at, group.end()
    return (at, after) if named and _LEAST <= _digits(data[at:after]) <= _MOST else None


def _is_american(
    found: re.Match[bytes], spelled: bytes, before: str, following: bytes, named: bool
) -> bool:
    if named and found.start() == 0:
        return True
    bracketed = b"(" in found[0]
    if (
        found.start() == 0
        and _GLUED_BEFORE.search(before)
        and not (bracketed and before[-1:].isalpha())
    ):
        return False
    if found.end() == len(spelled) and following.isalnum() and not bracketed:
        return False
    if (
        not bracketed
        and found["second"] != b"-"
        and (found["gap"] != found["second"] or found["gap"] in _SPACES)
    ):
        return False
    return _has_number(b"".join(_GROUP.findall(found[0])).decode(), "US")


def _digits(spelled: bytes) -> int:
    return sum(map(len, _GROUP.findall(spelled)))


def _glued_after(data: bytes, after: int) -> bool:
    return re.match(rb"[A-Za-z_%=&$]|[.,:/-]\d|\xe2\x82\xac", data[after : after + 3]) is not None


@functools.lru_cache(maxsize=1 << 14)
def _has_number(spelled: str, region: str | None) -> bool:
    """Whether the numbering plan of the region has such a number. A number with a plus sign names
    its country itself.
    """
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(spelled, region))
    except phonenumbers.NumberParseException:
        return False
