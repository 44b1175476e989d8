"""The licence of a program file: from its SPDX tag, the text at its top, or its repository.

Licences are SPDX expressions (spdx.org/licenses). An expression is permissive if it can be met with
permissive licences alone: of `A OR B` one is enough, of `A AND B` both are needed. Where a text
names several licences, all of them hold, unless it says that one may choose.

The permissive list follows that of The Stack (Kocetkov et al. 2022, arXiv 2211.15533): licences
with few conditions on who copies, changes and distributes the code.
"""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

PERMISSIVE: Final = (
    *("0BSD", "AFL-3.0", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "BlueOak-1.0.0"),
    *("BSD-1-Clause", "BSD-2-Clause", "BSD-2-Clause-Patent", "BSD-3-Clause"),
    *("BSD-3-Clause-Clear", "BSD-3-Clause-LBNL", "BSD-Source-Code", "BSL-1.0", "CC-BY-3.0"),
    *("CC-BY-4.0", "CC0-1.0", "curl", "ECL-2.0", "FTL", "HPND", "ICU", "ISC", "libpng-2.0"),
    *("MIT", "MIT-0", "MS-PL", "MulanPSL-2.0", "NCSA", "NTP", "PHP-3.01", "PostgreSQL"),
    *("PSF-2.0", "Python-2.0", "Ruby", "Unicode-3.0", "Unicode-DFS-2016", "Unlicense"),
    *("UPL-1.0", "Vim", "W3C", "WTFPL", "X11", "Xnet", "Zlib", "ZPL-2.1"),
)
UNKNOWN: Final = ("", "noassertion", "none", "other", "unknown", "no license", "other license")
# What people write for an identifier, in lower case.
SPOKEN: Final = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "isc license": "ISC",
    "boost software license 1.0": "BSL-1.0",
    "the unlicense": "Unlicense",
    "public domain": "CC0-1.0",
    "mozilla public license 2.0": "MPL-2.0",
    "gpl": "GPL-2.0-or-later",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "lgpl": "LGPL-2.1-or-later",
    "agpl": "AGPL-3.0-only",
}
# Phrases of licence texts and headers, in lower case, with one space between words and without
# marks of comments. The first phrase of a group that stands in the text names the licence.
PHRASES: Final = tuple(
    tuple((re.compile(pattern), name) for pattern, name in group)
    for group in (
        (
            (r"apache (software )?license,? (version )?2", "Apache-2.0"),
            (r"apache\.org/licenses/license-2\.0", "Apache-2.0"),
        ),
        (
            (r"gnu affero general public licen[cs]e|\bagpl", "AGPL-3.0-or-later"),
            (r"gnu (lesser|library) general public licen[cs]e|\blgpl", "LGPL-2.1-or-later"),
            (r"gnu general public licen[cs]e|\bgpl[ v-]?[23]", "GPL-2.0-or-later"),
        ),
        (
            (r"permission is hereby granted, free of charge, to any person", "MIT"),
            (r"\bmit[ -](style )?licen[cs]ed?\b|opensource\.org/licenses/mit\b", "MIT"),
        ),
        (
            (r"all advertising materials mentioning", "BSD-4-Clause"),
            (r"neither the names? of .{1,200}may be used to endorse", "BSD-3-Clause"),
            (r"redistribution and use in source and binary forms", "BSD-2-Clause"),
            (r"bsd[ -](style )?licen[cs]e|\b(new|modified|3-clause) bsd\b", "BSD-3-Clause"),
        ),
        (
            (r"with or without fee is hereby granted, provided", "ISC"),
            (r"with or without fee is hereby granted", "0BSD"),
        ),
        ((r"mozilla public licen[cs]e", "MPL-2.0"),),
        ((r"eclipse public licen[cs]e", "EPL-2.0"),),
        ((r"common development and distribution licen[cs]e", "CDDL-1.0"),),
        ((r"server side public licen[cs]e", "SSPL-1.0"),),
        ((r"business source licen[cs]e", "BUSL-1.1"),),
        ((r"elastic licen[cs]e", "Elastic-2.0"),),
        ((r"microsoft public licen[cs]e", "MS-PL"),),
        ((r"boost software licen[cs]e", "BSL-1.0"),),
        (
            (r"creative commons .{0,60}non-?commercial|\bcc[ -]by[ -]nc", "CC-BY-NC-4.0"),
            (r"creative commons .{0,60}share-?alike|\bcc[ -]by[ -]sa", "CC-BY-SA-4.0"),
            (r"\bcc0\b|creative commons zero", "CC0-1.0"),
        ),
        ((r"free and unencumbered software released into the public domain", "Unlicense"),),
        ((r"do what the fuck you want to public licen[cs]e", "WTFPL"),),
        ((r"python software foundation licen[cs]e|\bpsf licen[cs]e", "PSF-2.0"),),
        ((r"this software is provided 'as-is', without any express", "Zlib"),),
        (
            (
                r"proprietary and confidential|confidential and proprietary|strictly prohibited",
                "LicenseRef-proprietary",
            ),
        ),
    )
)
HEAD_CHARACTERS: Final = 4000  # a licence stands at the top; the BSD text has 1,500 characters
# A text with one of these lets its reader choose between the licences that it names.
_CHOICE = re.compile(
    r"dual[ -]licen[cs]|under either\b|choose between|your choice of|alternatively, (you|this|the)"
)
LONGEST_EXPRESSION: Final = 400
MOST_BRACKETS: Final = 20
_TAG = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{1,400})")
_AFTER_TAG = re.compile(r"""\s*(\*/|-->|\*\)|\}\}?|["'#;%].*|--.*)\s*$""")
_MARKS = re.compile(
    r"^[ \t]*(?:#+|//+!?|/\*+|\*+/?|--+|;+|%+|<!--|\"\"\"|'''|\{-|dnl\b|rem\b)?", re.M
)
_TERM = re.compile(r"\s*(\(|\)|[A-Za-z0-9.+-]+(?::[A-Za-z0-9.+-]+)?)")


class Licence(NamedTuple):
    """expression: in SPDX terms; None if none was found. found: where: tag, text, repository."""

    expression: str | None
    found: str | None


def licence_of(text: str, repository: str | None) -> Licence:
    """What a file says itself counts, and else what is said of its repository.

    repository: an SPDX expression, a common name, or a whole licence text.
    """
    head = text[:HEAD_CHARACTERS]
    tags = {_AFTER_TAG.sub("", tag).strip() for tag in _TAG.findall(head)}
    tags = {tag for tag in tags if tag.lower() not in UNKNOWN}
    if tags:
        return Licence(_all_of(tags), "tag")
    named = _named_in(head)
    if named:
        return Licence(named, "text")
    said = expression(repository or "")
    return Licence(said, "repository" if said else None)


def expression(said: str) -> str | None:
    """The SPDX expression for what people say of a repository. None if they say nothing."""
    said = said.strip()
    if said.lower() in UNKNOWN:
        return None
    if said.lower() in SPOKEN:
        return SPOKEN[said.lower()]
    if len(said) <= LONGEST_EXPRESSION and len(said.split()) < 2:
        return said
    if len(said) <= LONGEST_EXPRESSION and re.search(r"\s(AND|OR|WITH)\s", said):
        return said
    return _named_in(said[:HEAD_CHARACTERS]) or said[:LONGEST_EXPRESSION]


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


def _named_in(text: str) -> str | None:
    """The licences that a text names, as one expression."""
    plain = " ".join(_MARKS.sub("", text).split()).lower()
    named = set()
    for group in PHRASES:
        name = next((name for phrase, name in group if phrase.search(plain)), None)
        if name:
            named.add(name)
    if named and _CHOICE.search(plain):
        return " OR ".join(sorted(named))
    return _all_of(named)


def _all_of(names: Collection[str]) -> str | None:
    parts = sorted(names)
    if len(parts) < 2:
        return parts[0] if parts else None
    return " AND ".join(f"({part})" if re.search(r"\sOR\s", part) else part for part in parts)
