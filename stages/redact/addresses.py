"""E-mail and IP addresses: when a candidate is an address of a person or a machine.

E-mail: the dot-atom form of RFC 5321 with a domain of at least two labels, also spelled with `(at)`
and `(dot)`. These are not counted: domains reserved for documentation (RFC 2606, RFC 6761), file
names (`logo@2x.png`), and the user in `git@host.org:path`.

IP: addresses that the Internet routes. The ranges that it does not route are IANA's special-purpose
registries (RFC 6890), multicast included. They are written down here because the standard library's
own list changes with Python's version. Three small numbers and a fourth are a version or a section
far more often than an address; only one address in 500 begins so. So they count only behind a word
such as `IP`.
"""

import functools
import ipaddress
import re

_LOCAL = rb"[A-Za-z0-9_.+'-]"  # RFC 5321 allows more signs; in pages those separate words
# ASCII, and Latin, Greek, Cyrillic and other alphabets beyond it.
_LETTER = rb"(?:[A-Za-z0-9]|[\xc3-\xdb\xe1][\x80-\xbf]{1,2})"
_LABEL = rb"%s(?:(?:%s|-){0,61}%s)?" % (_LETTER, _LETTER, _LETTER)
_TOP = rb"(?:xn--[A-Za-z0-9-]{2,40}|[A-Za-z]{2,18}|(?:[\xd0-\xd1][\x80-\xbf]){2,10})"
_BEFORE_AT = re.compile(rb"(?<!%s)'?(?P<local>[A-Za-z0-9_+]%s{0,63})\Z" % (_LOCAL, _LOCAL))
_AFTER_AT = re.compile(rb"(?:%s\.){1,8}%s(?![A-Za-z0-9_@]|-[A-Za-z0-9])" % (_LABEL, _TOP))
_SPELLED_BEFORE = re.compile(rb"(?<!%s)(?P<local>[A-Za-z0-9_+]%s{0,63}) ?\Z" % (_LOCAL, _LOCAL))
_DOT = rb"(?: ?\. ?| ?[\[(] ?dot ?[\])] ?)"
_SPELLED_AFTER = re.compile(rb" ?(?:%s%s){1,8}[A-Za-z]{2,18}(?![A-Za-z0-9_@])" % (_LABEL, _DOT))
_LONGEST_LOCAL, _LONGEST_DOMAIN = 64, 255

_NOBODYS_DOMAINS = re.compile(
    rb"(?:^|\.)(?:example\.(?:com|net|org|edu)|example|test|invalid|localhost|local|onion|alt)$",
    re.IGNORECASE,
)
_FILES = re.compile(
    rb"\.(?:png|jpe?g|gif|svg|webp|avif|bmp|ico|css|js|mjs|ts|tsx|jsx|json|html?|php|py|rb|java|md|txt|xml|ya?ml|toml|pdf|zip|gz|jar|exe|dll|so"
    rb"|service|target|socket|timer)$",
    re.IGNORECASE,
)
_MACHINES = (b"git", b"hg", b"svn", b"ssh")

_VERSION_BEFORE = re.compile(
    rb"(?:(?:\bversions?|\bver|\brelease|\brev|\bbuild|\bv|\bupdate|\bfirmware|\bsections?|\bchapter|\bfigure|\btable|\btheorem|\xc2\xa7)[\s.:=(]{0,3}"
    rb"|[A-Za-z0-9]/|[A-Za-z0-9]-)\Z",
    re.IGNORECASE,
)
_ADDRESS_BEFORE = re.compile(
    rb"(?:\bip(?:v[46])?|\baddress(?:es)?|\badresse|\bhosts?|\bserver|\bping|\bdns|\bgateway|\bfrom|://|@)\W{0,12}\Z",
    re.IGNORECASE,
)
_PREFIX_LENGTH = re.compile(rb"/\d{1,3}(?![\d.])")  # `192.0.2.0/24` is a network
_SMALL = 32
# fmt: off
_NOT_ROUTED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
)
# fmt: on


def email_span(data: bytes, begin: int, end: int, at: int, after: int) -> tuple[int, int] | None:
    """The place in `data` of an e-mail address around the at sign at `data[at:after]`, within the
    line `data[begin:end]`; None if it is none.
    """
    spelled = after - at > 1
    before = (_SPELLED_BEFORE if spelled else _BEFORE_AT).search(
        data[max(begin, at - _LONGEST_LOCAL - 2) : at]
    )
    domain = (_SPELLED_AFTER if spelled else _AFTER_AT).match(
        data, after, min(end, after + _LONGEST_DOMAIN)
    )
    if before is None or domain is None:
        return None
    local, name = before["local"], domain[0]
    if spelled:
        name = re.sub(rb"\s|[\[(]|[\])]", b"", re.sub(_DOT, b".", name))
    if (
        b".." in local
        or local.endswith(b".")
        or _NOBODYS_DOMAINS.search(name)
        or _FILES.search(name)
    ):
        return None
    if local in _MACHINES and data[domain.end() : domain.end() + 1] in (b":", b"/"):
        return None
    return at - len(before[0]) + before.start("local") - before.start(), domain.end()


def is_public_ip(data: bytes, begin: int, at: int, after: int) -> bool:
    """Whether `data[at:after]` is the address of a machine on the Internet, and no network and no
    version. begin: of its line.
    """
    spelled = data[at:after].decode("ascii")
    if not is_routed(spelled) or _PREFIX_LENGTH.match(data, after):
        return False
    before = data[max(begin, at - 24) : at]
    if _ADDRESS_BEFORE.search(before):
        return True
    if _VERSION_BEFORE.search(before):
        return False
    return ":" in spelled or any(int(number) >= _SMALL for number in spelled.split(".")[:3])


@functools.lru_cache(maxsize=4096)
def is_routed(spelled: str) -> bool:
    """Whether the Internet routes this address. False for text that is no address."""
    try:
        address = ipaddress.ip_address(spelled)
    except ValueError:
        return False
    networks = map(ipaddress.ip_network, _NOT_ROUTED)
    return not any(
        network.version == address.version and address in network for network in networks
    )
