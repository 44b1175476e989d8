"""Check digits of national numbers. Functions take the digits as a text, the check digit included.

Sources: ISO/IEC 7064 (modulus 11, 10); Luhn 1960 (US patent 2,950,048); Verhoeff 1969, "Error
detecting decimal codes"; for weights the registers' own publications, as python-stdnum lists them.
"""

import datetime
from collections.abc import Sequence

_VERHOEFF_PERMUTED = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of the first digits, each times its weight."""
    return sum(
        int(digit) * weight for digit, weight in zip(digits[: len(weights)], weights, strict=True)
    )


def luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def verhoeff(digits: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = _VERHOEFF_PERMUTED[value]
        check = _dihedral(check, value)
    return check == 0


def _dihedral(left: int, right: int) -> int:
    """The product in the dihedral group of the pentagon."""
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
    return 5 + (left - right) % 5 if right < 5 else (left - right) % 5


def iso_7064_11_10(digits: str) -> bool:
    check = 10
    for digit in digits[:-1]:
        check = (check + int(digit)) % 10 or 10
        check = check * 2 % 11
    return (check + int(digits[-1])) % 10 == 1


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day. A year below 100 may lie in either century."""
    if year < 100:
        return is_date(1900 + year, month, day) or is_date(2000 + year, month, day)
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True
