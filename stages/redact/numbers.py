"""Payment cards and bank accounts: numbers with check digits, so errors are rare.

Card: an issuer's prefix with a length that the issuer uses (ISO/IEC 7812-1), and the Luhn check
(its annex B). The digits stand in one group, or in the groups that are printed on cards. IBAN (ISO
13616): a country's length, and the remainder 1 modulo 97 (ISO 7064).
"""

import re

_CARDS: tuple[tuple[re.Pattern[bytes], tuple[int, ...]], ...] = (
    (re.compile(rb"4"), (13, 16, 19)),  # Visa
    (re.compile(rb"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(rb"3[47]"), (15,)),  # American Express
    (re.compile(rb"6011|64[4-9]|65"), (16, 19)),  # Discover
    (re.compile(rb"35(?:2[89]|[3-8])"), (16, 19)),  # JCB
    (re.compile(rb"30[0-5]|3[689]"), (14, 16, 19)),  # Diners Club
    (re.compile(rb"62"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(rb"220[0-4]"), (16, 17, 18, 19)),  # Mir
    (re.compile(rb"5018|5020|5038|5893|6304|6759|676[1-3]"), tuple(range(12, 20))),  # Maestro
)
_GROUPS = {
    (4, 6, 5),
    (4, 6, 4),
    (4, 4, 4),
    *((4, 4, 4, last) for last in (1, 2, 3, 4)),
    *((4, 4, 4, 4, last) for last in (1, 2, 3)),
}
_GROUP = re.compile(rb"\d+")
_PART_OF_SOMETHING = re.compile(
    rb"[/=&%#.,:_+-]\Z|(?:isbn|issn|ean|gtin|upc|imei|doi|oclc|orcid|\bid)[\s:#.()]{0,3}\Z",
    re.IGNORECASE,
)
_ROW_BEFORE = re.compile(rb"(?<!\.)(?<!\d)\d{3,4} \Z")  # a row of numbers of four digits
_CONTINUES = re.compile(rb"[-/=&%_]|[.,]\d| \d{4}(?!\d)")  # the last: a row of four-digit numbers
_SPELLED_IBAN = re.compile(rb"(?<!\w)(?=([A-Z]{2}\d\d(?: ?[A-Z\d])+))")  # they may overlap

# Length by country, from SWIFT's registry for ISO 13616.
IBAN_LENGTHS: dict[bytes, int] = {
    country.encode(): length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
# fmt: on


def is_card(data: bytes, begin: int, at: int, after: int, end: int) -> bool:
    """Whether `data[at:after]`, which passed the Luhn check, is the number of a card. begin, end:
    of its line.
    """
    spelled = data[at:after]
    groups = tuple(len(group) for group in _GROUP.findall(spelled))
    if len(groups) > 1 and (groups not in _GROUPS or (b" " in spelled and b"-" in spelled)):
        return False
    digits = spelled.replace(b" ", b"").replace(b"-", b"")
    if not any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _CARDS):
        return False
    before = data[max(begin, at - 12) : at]
    if _PART_OF_SOMETHING.search(before) or _ROW_BEFORE.search(before):
        return False
    return not _CONTINUES.match(data, after, end)


def iban_spans(data: bytes, end: int) -> list[tuple[int, int]]:
    """The IBANs that begin in the first `end` bytes: behind one may stand a code of the bank, or
    another IBAN.
    """
    spans: list[tuple[int, int]] = []
    for spelled in _SPELLED_IBAN.finditer(data):
        begin = spelled.start()
        if begin < end and (not spans or begin > spans[-1][1]):
            length = iban_end(spelled[1])
            spans += [(begin, begin + length)] if length else []
    return spans


def iban_end(spelled: bytes) -> int:
    """How many bytes of `spelled` (capitals, digits, single spaces) are an IBAN; 0 if it does not
    begin with one.
    """
    length = IBAN_LENGTHS.get(spelled[:2])
    packed = spelled.replace(b" ", b"")[:length]
    if length is None or len(packed) < length:
        return 0
    as_number = "".join(str(int(chr(byte), 36)) for byte in packed[4:] + packed[:4])
    if int(as_number) % 97 != 1:
        return 0
    place = left = 0
    while left < length:
        left += spelled[place : place + 1] != b" "
        place += 1
    continues = spelled[place : place + 1] not in (b"", b" ")
    return 0 if continues else place
