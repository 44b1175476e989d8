"""The rules of each country's numbers: whether a spelling without separators can be one."""

import re

from corpusmill.stages.redact.checksums import (
    is_date,
    iso_7064_11_10,
    luhn,
    verhoeff,
    weighted,
)

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_SIGNS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ODD_VALUES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25)
_ODD = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (*_ODD_VALUES, 24, 23), strict=True))
_OMOCODIA = str.maketrans("LMNPQRSTUV", "0123456789")
_CURP_SIGNS = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
_MONTHS_BY_CENTURY = {0: 1900, 20: 2000, 40: 2100, 60: 2200, 80: 1800}


def us_ssn(number: str) -> bool:
    """Social Security Administration: area, group and serial number; no check digit."""
    area, group, serial = number[:3], number[3:5], number[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def us_itin(number: str) -> bool:
    group = int(number[3:5])
    return number[0] == "9" and (50 <= group <= 65 or (70 <= group <= 99 and group not in (89, 93)))


def gb_nino(number: str) -> bool:
    return number[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def gb_nhs(number: str) -> bool:
    return -weighted(number, range(10, 1, -1)) % 11 == int(number[9])


def ca_sin(number: str) -> bool:
    return luhn(number)


def fr_nir(number: str) -> bool:
    month = int(number[3:5])
    if not (1 <= month <= 12 or 20 <= month <= 42 or month >= 50):
        return False
    body = number[:13].replace("2A", "19").replace("2B", "18")
    return body.isdigit() and 97 - int(body) % 97 == int(number[13:])


def es_dni(number: str) -> bool:
    body = str("XYZ".find(number[0])) + number[1:-1] if number[0] in "XYZ" else number[:-1]
    return _DNI_LETTERS[int(body) % 23] == number[-1]


def it_codice_fiscale(number: str) -> bool:
    total = 0
    for place, sign in enumerate(number[:15]):
        value = int(sign) if sign.isdigit() else ord(sign) - 65
        total += value if place % 2 else _ODD[chr(65 + value)] if sign.isdigit() else _ODD[sign]
    day = int(number[9:11].translate(_OMOCODIA)) % 40
    return 1 <= day <= 31 and chr(65 + total % 26) == number[15]


def de_steuer_id(number: str) -> bool:
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    once = counts[-1] in (2, 3) and counts[:-1] == [1] * (len(counts) - 1)
    return number[0] != "0" and once and iso_7064_11_10(number)


def nl_bsn(number: str) -> bool:
    return number.strip("0") != "" and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def be_nrn(number: str) -> bool:
    month = int(number[2:4]) % 20  # months of foreigners have 20 or 40 added
    if month > 12 or int(number[4:6]) > 31:
        return False
    check = int(number[9:])
    return check in (97 - int(number[:9]) % 97, 97 - int("2" + number[:9]) % 97)


def pl_pesel(number: str) -> bool:
    month = int(number[2:4])
    year = _MONTHS_BY_CENTURY[month // 20 * 20] + int(number[:2])
    if not is_date(year, month % 20, int(number[4:6])):
        return False
    return -weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == int(number[10])


def br_cpf(number: str) -> bool:
    if len(set(number)) == 1:
        return False
    first = weighted(number, range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(number, range(11, 1, -1)) * 10 % 11 % 10
    return number[9:] == f"{first}{second}"


def br_cnpj(number: str) -> bool:
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = weighted(number, weights[1:]) * 10 % 11 % 10
    second = weighted(number, weights) * 10 % 11 % 10
    return len(set(number)) > 1 and number[12:] == f"{first}{second}"


def in_aadhaar(number: str) -> bool:
    return number[0] in "23456789" and verhoeff(number)


def cn_resident(number: str) -> bool:
    if not is_date(int(number[6:10]), int(number[10:12]), int(number[12:14])):
        return False
    if not "1850" < number[6:10] < "2100" or number[0] not in "12345678":
        return False
    check = weighted(number, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return "10X98765432"[check] == number[17]


def kr_rrn(number: str) -> bool:
    """Numbers given since October 2020 have no check digit; they need a word before them."""
    if not kr_rrn_shape(number):
        return False
    total = weighted(number, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    return (11 - total % 11) % 10 == int(number[12])


def kr_rrn_shape(number: str) -> bool:
    century = {"9": 1800, "0": 1800, "1": 1900, "2": 1900, "5": 1900, "6": 1900}
    year = century.get(number[6], 2000) + int(number[:2])
    return is_date(year, int(number[2:4]), int(number[4:6]))


def jp_my_number(number: str) -> bool:
    rest = weighted(number, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(number[11])


def au_tfn(number: str) -> bool:
    weights = (1, 4, 3, 7, 5, 8, 6, 9, 10) if len(number) == 9 else (10, 7, 8, 4, 6, 3, 5, 1)
    return weighted(number, weights) % 11 == 0


def au_medicare(number: str) -> bool:
    return number[0] in "23456" and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(
        number[8]
    )


def se_personnummer(number: str) -> bool:
    short = number[-10:]
    day = int(short[4:6]) % 60  # 60 is added in coordination numbers
    if not is_date(int(number[:-8] or short[:2]), int(short[2:4]), day):
        return False
    return luhn(short)


def fi_hetu(number: str) -> bool:
    if not is_date(int(number[4:6]), int(number[2:4]), int(number[:2])):
        return False
    return _HETU_SIGNS[int(number[:6] + number[7:10]) % 31] == number[10]


def dk_cpr(number: str) -> bool:
    """Numbers of men born on 1 January 1965 and others have no check digit any more."""
    return is_date(int(number[4:6]), int(number[2:4]), int(number[:2]))


def no_fnr(number: str) -> bool:
    day, month = int(number[:2]) % 40, int(number[2:4]) % 40  # D-numbers add 40 to the day
    if not is_date(int(number[4:6]), month, day):
        return False
    first = weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
    return first and weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def ch_ahv(number: str) -> bool:
    return number[:3] == "756" and weighted(number, (1, 3) * 6 + (1,)) % 10 == 0


def tr_tckn(number: str) -> bool:
    odd, even = (sum(map(int, number[place:9:2])) for place in (0, 1))
    tenth = (7 * odd - even) % 10
    return (
        number[0] != "0"
        and tenth == int(number[9])
        and sum(map(int, number[:10])) % 10 == int(number[10])
    )


def za_id(number: str) -> bool:
    born = is_date(int(number[:2]), int(number[2:4]), int(number[4:6]))
    return born and number[10] in "012" and luhn(number)


def ie_pps(number: str) -> bool:
    extra = ord(number[8]) - 64 if len(number) == 9 and number[8] != "W" else 0
    total = weighted(number, range(8, 1, -1)) + 9 * extra
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == number[7]


def pt_nif(number: str) -> bool:
    rest = weighted(number, range(9, 1, -1)) % 11
    return number[0] != "0" and (0 if rest < 2 else 11 - rest) == int(number[8])


def at_svnr(number: str) -> bool:
    rest = weighted(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    return number[0] != "0" and rest == int(number[3])


def mx_curp(number: str) -> bool:
    if not is_date(int(number[4:6]), int(number[6:8]), int(number[8:10])):
        return False
    total = sum(_CURP_SIGNS.index(sign) * (18 - place) for place, sign in enumerate(number[:17]))
    return -total % 10 == int(number[17])


def cl_rut(number: str) -> bool:
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(number[:-1])))
    return "0K987654321"[total % 11] == number[-1]


def ro_cnp(number: str) -> bool:
    if not is_date(int(number[1:3]), int(number[3:5]), int(number[5:7])):
        return False
    rest = weighted(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return number[0] != "0" and (1 if rest == 10 else rest) == int(number[12])


def bg_egn(number: str) -> bool:
    if not is_date(int(number[:2]), int(number[2:4]) % 20, int(number[4:6])):
        return False
    return weighted(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(number[9])


def cz_rodne_cislo(number: str) -> bool:
    """Women have 50 added to the month, crowded days 20 more."""
    if not is_date(int(number[:2]), int(number[2:4]) % 50 % 20, int(number[4:6])):
        return False
    return int(number) % 11 == 0 or (int(number[:9]) % 11 == 10 and number[9] == "0")


def ee_lt_code(number: str) -> bool:
    if number[0] not in "12345678" or not is_date(
        int(number[1:3]), int(number[3:5]), int(number[5:7])
    ):
        return False
    check = weighted(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(number[10])


def hr_oib(number: str) -> bool:
    return iso_7064_11_10(number)


def gr_amka(number: str) -> bool:
    return is_date(int(number[4:6]), int(number[2:4]), int(number[:2])) and luhn(number)


def ru_snils(number: str) -> bool:
    return weighted(number, range(9, 0, -1)) % 101 % 100 == int(number[9:])


def ru_inn(number: str) -> bool:
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    first = weighted(number, weights[1:]) % 11 % 10
    return number[10:] == f"{first}{weighted(number, weights) % 11 % 10}"


def il_id(number: str) -> bool:
    return number.strip("0") != "" and luhn(number)


def sg_nric(number: str) -> bool:
    start, letters = {
        "S": (0, "JZIHGFEDCBA"),
        "T": (4, "JZIHGFEDCBA"),
        "F": (0, "XWUTRQPNMLK"),
        "G": (4, "XWUTRQPNMLK"),
        "M": (3, "XWUTRQPNJLK"),
    }[number[0]]
    rest = (start + weighted(number[1:], (2, 7, 6, 5, 4, 3, 2))) % 11
    return letters[10 - rest if number[0] == "M" else rest] == number[8]


def hk_id(number: str) -> bool:
    letters, digits = re.match(r"([A-Z]+)(.+)", number).groups()  # type: ignore[union-attr]
    values = [36] * (2 - len(letters)) + [ord(letter) - 55 for letter in letters]
    values += [10 if sign == "A" else int(sign) for sign in digits]
    return sum(value * (9 - place) for place, value in enumerate(values)) % 11 == 0


def tw_id(number: str) -> bool:
    value = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(number[0]) + 10
    total = value // 10 + value % 10 * 9 + weighted(number[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))
    return total % 10 == 0


def th_id(number: str) -> bool:
    return (11 - weighted(number, range(13, 1, -1)) % 11) % 10 == int(number[12])
