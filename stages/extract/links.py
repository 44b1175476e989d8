"""From the links of a page as it spells them to addresses.

Addresses are those that a browser would open (URL standard, 4.4), without the fragment.
"""

import re
from html import unescape
from html.entities import html5
from typing import NamedTuple
from urllib.parse import urljoin

LONGEST = 2048  # bytes of an address
# A reference of an attribute (HTML standard, 13.2.5.73). A name without a semicolon is none in
# front of `=`, a letter or a digit: `&section=3` is a parameter, and no paragraph sign.
_REFERENCE = re.compile(
    "&(?:#(?:[0-9]+|[xX][0-9A-Fa-f]+);?|(?P<name>[0-9A-Za-z]+(?:;|(?![0-9A-Za-z=]))))"
)
_REMOVED = re.compile("[\t\n\r\x00]")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*:")
_WEB = re.compile("(https?):/+(?=[^/])", re.IGNORECASE)
_WHOLE = re.compile(r"https?://[^\s&#/?@\x00]+(?:[/?][^\s&#\x00]*)?").fullmatch
_ORIGIN = re.compile("https?://[^/?#]+", re.IGNORECASE)


class Written(NamedTuple):
    """addresses: as the page spells them, each once, in order. base: that of `<base>`, or empty."""

    addresses: list[str]
    base: str = ""


def resolved(links: Written, url: str | None, most: int) -> list[str]:
    """The addresses of the web pages that are linked, each once, in order; at most so many.

    url: of the page, without which relative addresses lead nowhere. Links to the page itself are
    left out.
    """
    own = _without_fragment(url or "")
    base = (_joined(own, links.base) if links.base else "") or own
    found: dict[str, None] = {}
    for address in links.addresses:
        is_whole = _WHOLE(address) and "/." not in address  # most are, so that they must be quick
        link = address if is_whole else _joined(base, address)
        if link and link != own:
            found[link] = None
            if len(found) >= most:
                break
    return list(found)


def _joined(base: str, address: str) -> str:
    """The absolute address of a web page. Empty: it is none."""
    if "&" in address:
        address = _REFERENCE.sub(_character, address)
    address = _without_fragment(_REMOVED.sub("", address).strip())
    if not address:
        return ""
    if _SCHEME.match(address):
        link = _WEB.sub(lambda found: f"{found[1].lower()}://", address, count=1)
    else:
        origin = _ORIGIN.match(base)
        if origin is None:
            return ""
        # Most addresses begin with a slash, and need no more than this.
        link = origin[0] + address
        if address[0] != "/" or address[:2] == "//":
            link = _by_standard(base, address)
    whole = _ORIGIN.match(link)
    if whole is None or len(link) > LONGEST:
        return ""
    site, path = whole[0], link[whole.end() :]
    if "@" in site:  # a user, and maybe a password: no part of the page
        scheme, _, authority = site.partition("://")
        host = authority.rpartition("@")[2]
        if not host:
            return ""
        site = f"{scheme}://{host}"
        link = site + path
    if "/." in path and not path.startswith("//"):  # urljoin resolves dots of relative ones only
        link = site + _by_standard("http://host/", path).removeprefix("http://host")
    return link.replace(" ", "%20")


def _character(reference: re.Match[str]) -> str:
    name = reference["name"]
    return html5.get(name, reference[0]) if name else unescape(reference[0])


def _by_standard(base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError:  # such as a bracket that is left open in the host
        return ""


def _without_fragment(url: str) -> str:
    return url.partition("#")[0]
