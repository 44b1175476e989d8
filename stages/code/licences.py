"""The licence of a program file: from its SPDX tag, the text at its top, or its repository.

Licences are SPDX expressions (`stages.licences`). Where a text names several licences, all of them
hold, unless it says that one may choose.
"""

import re
from typing import Final, NamedTuple

from corpusmill.stages.licences.expressions import JOINED, LONGEST_EXPRESSION, named
from corpusmill.stages.licences.names import identifier, is_unknown
from corpusmill.stages.readers.record import all_of

_LATER_IN_SENTENCE: Final = r"(?:[^.]|\.(?! )){0,120}?"
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
                r"proprietary and confidential|confidential and proprietary"
                rf"|\b(copying|duplication|(re)?distribution|reproduction|use(?! of (?!th)))\b"
                rf"{_LATER_IN_SENTENCE}strictly prohibited",
                "LicenseRef-proprietary",
            ),
        ),
    )
)
HEAD_CHARACTERS: Final = 4000  # a licence stands at the top; the BSD text has 1,500 characters
# A text with one of these lets its reader choose between the licences that it names. A sentence
# that only sounds so, such as "Alternatively, the caller may pass a path", names no licence.
_CHOICE = re.compile(
    r"dual[ -]licen[cs]"
    r"|\b(under either|choose between|your choice of|alternatively, (you|this|the))\b"
    rf"{_LATER_IN_SENTENCE}\b(licen[cs]|distributed\b|terms\b|l?gpl|mit\b|bsd\b|apache\b)"
)
_TAG = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{1,400})")
_AFTER_TAG = re.compile(r"""\s*(\*/|-->|\*\)|\}\}?|["'#;%].*|--.*)\s*$""")
_MARKS = re.compile(
    r"^[ \t]*(?:#+|//+!?|/\*+|\*+/?|--+|;+|%+|<!--|\"\"\"|'''|\{-|dnl\b|rem\b)?", re.M
)


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
    tags = {tag for tag in tags if not is_unknown(tag)}
    if tags:
        return Licence(all_of(sorted(tags)), "tag")
    named = _named_in(head)
    if named:
        return Licence(named, "text")
    said = expression(repository or "")
    return Licence(said, "repository" if said else None)


def expression(said: str) -> str | None:
    """The SPDX expression for what people say of a repository. None if they say nothing.

    It may join common names, as in `MIT License AND Apache 2.0`, or be a whole licence text.
    """
    said = said.strip()
    words = len(said.split()) > 1 and not is_unknown(said) and not JOINED.search(said)
    if len(said) > LONGEST_EXPRESSION or (words and identifier(said) is None):
        return _named_in(said[:HEAD_CHARACTERS]) or said[:LONGEST_EXPRESSION]
    return named(said)


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
    return all_of(sorted(named))
