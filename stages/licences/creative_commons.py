"""The Creative Commons licence that a name or an address means, as an SPDX identifier.

Data sets spell them in many ways: `CC BY-NC 2.0`, `cc-by-sa-3.0`, `Creative Commons
Attribution-ShareAlike 4.0 International`, `https://creativecommons.org/licenses/by/4.0/`. Only a
name without further words counts, so nothing is guessed.
"""

import re
from typing import Final

_ADDRESS = re.compile(
    r"(?:https?:)?(?://)?(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)"
    r"/(?P<name>zero|mark|by(?:-(?:nc|nd|sa))*)/(?P<version>\d\.\d)(?:/(?P<port>[a-z]{2,3}|scotland))?"
    r"(?:/(?:deed|legalcode)(?:\.[a-z_-]+)?)?/?(?:[?#]\S*)?"
)
_WHOLE: Final = (
    (re.compile(r"creative commons"), "cc"),
    (re.compile(r"\bpublic domain mark\b"), "pdm"),
    (re.compile(r"\bpublic domain dedication\b"), ""),
    (re.compile(r"\battribution\b"), "by"),
    (re.compile(r"\bnon ?commercial\b"), "nc"),
    (re.compile(r"\bshare ?alike\b"), "sa"),
    (re.compile(r"\bno ?(?:derivs|derivatives|derivative works)\b"), "nd"),
    (re.compile(r"\bcc zero\b"), "cc0"),
    (re.compile(r"\b(?:international|unported|generic|universal|public|license|deed)\b"), ""),
)
_NAME = re.compile(r"cc by(?P<terms>(?: (?:nc|nd|sa))*)(?: (?P<version>\d\.\d))?")
_TWICE = re.compile(r"(.+) \((.+)\)")  # Creative Commons ... 4.0 (CC BY 4.0)


def creative_commons(said: str) -> str | None:
    """The identifier, such as CC-BY-NC-2.0. None if it is no name of such a licence.

    A name without a version has none in the result: CC-BY is no SPDX identifier.
    said: in lower case, `license` with an s.
    """
    if address := _ADDRESS.fullmatch(said):
        name, port = address["name"], address["port"]
        if name in ("zero", "mark"):
            return "CC0-1.0" if name == "zero" else "CC-PDM-1.0"
        return _by(name.split("-")[1:], address["version"], port)
    if twice := _TWICE.fullmatch(said):
        both = creative_commons(twice[1]), creative_commons(twice[2])
        return both[0] if both[0] == both[1] else None
    words = re.sub(r"[-_/]", " ", said)
    for pattern, short in _WHOLE:
        words = pattern.sub(short, words)
    words = " ".join(words.split())
    if words in ("cc0", "cc0 1.0"):
        return "CC0-1.0"
    if words.removeprefix("cc ") in ("pdm", "pdm 1.0"):
        return "CC-PDM-1.0"
    if not (named := _NAME.fullmatch(words)):
        return None
    return _by(named["terms"].split(), named["version"])


def _by(terms: list[str], *ends: str | None) -> str:
    """terms: in any order; nc stands before nd and sa. ends: version and port, if known."""
    return "-".join(["CC-BY", *sorted(set(terms)), *filter(None, ends)]).upper()
