"""What rows and people say of a licence, as an SPDX expression (spdx.org/licenses).

An expression is permissive if it can be met with permissive licences alone: of `A OR B` one is
enough, of `A AND B` both are needed.
"""

import re
from collections.abc import Collection
from typing import Final

from corpusmill.stages.licences.names import identifier, is_unknown

LONGEST_EXPRESSION: Final = 400
MOST_BRACKETS: Final = 20
JOINED = re.compile(r"\s(AND|OR|WITH)\s")
_OPERATOR = re.compile(r"(\s+(?:AND|OR|WITH)\s+|[()])")
_TERM = re.compile(r"\s*(\(|\)|[A-Za-z0-9.+-]+(?::[A-Za-z0-9.+-]+)?)")


def named(said: str) -> str | None:
    """The licence that people name: an SPDX expression if its names are known, else their own
    words, cut to `LONGEST_EXPRESSION`. None if they say that they know of none.
    """
    said = said.strip()
    if is_unknown(said):
        return None
    if len(said) > LONGEST_EXPRESSION:
        return said[:LONGEST_EXPRESSION]
    if JOINED.search(said):
        return "".join(_as_term(part) for part in _OPERATOR.split(said))
    return identifier(said) or said


def is_permissive(licence: str, permissive: Collection[str]) -> bool:
    """Whether the expression can be met with these licences alone. False for what is no expression.

    An exception (`WITH`) only adds permissions, so it changes nothing.
    """
    terms, end = [], 0
    if len(licence) > LONGEST_EXPRESSION or licence.count("(") > MOST_BRACKETS:
        return False
    while licence[end:].strip():
        found = _TERM.match(licence, end)
        if not found:
            return False
        terms.append(found[1])
        end = found.end()
    known = {name.lower() for name in permissive}
    value, left = _any(terms, known)
    return value and not left


def _any(terms: list[str], known: set[str]) -> tuple[bool, list[str]]:
    value, terms = _every(terms, known)
    while terms and terms[0].upper() == "OR":
        other, terms = _every(terms[1:], known)
        value = value or other
    return value, terms


def _every(terms: list[str], known: set[str]) -> tuple[bool, list[str]]:
    value, terms = _one(terms, known)
    while terms and terms[0].upper() == "AND":
        other, terms = _one(terms[1:], known)
        value = value and other
    return value, terms


def _one(terms: list[str], known: set[str]) -> tuple[bool, list[str]]:
    """One licence or a bracket. What is none of them is not permissive, and ends the reading."""
    if not terms:
        return False, ["?"]
    first, rest = terms[0], terms[1:]
    if first == "(":
        value, rest = _any(rest, known)
        return (value, rest[1:]) if rest[:1] == [")"] else (False, ["?"])
    if rest and rest[0].upper() == "WITH":
        rest = rest[2:]
    return first.removesuffix("+").lower() in known, rest


def _as_term(part: str) -> str:
    """A part of an expression, with the identifier for a common name."""
    name = identifier(part)
    if not name:
        return part
    return f"({name})" if " OR " in name else name
