"""E-mail and IP addresses: when a candidate is an address of a person or a machine.

E-mail: the dot-atom form of RFC 5321, or of RFC 6531 with letters of any script, with a domain of
at least two labels (also internationalised, or in Punycode), also spelled with `(at)` and `(dot)`.
These are not counted: domains reserved for documentation (RFC 2606, RFC 6761), file names
(`logo@2x.png`), and the user in `git@host.org:path`.

IP: addresses that the Internet routes. The ranges that it does not route are IANA's special-purpose
registries (RFC 6890), multicast included. They are written down here because the standard library's
own list changes with Python's version. Three small numbers and a fourth are a version or a section
far more often than an address; only one address in 500 begins so. So they count only behind a word
such as `IP`.
"""

import functools
import ipaddress
import re

# A letter of a script that puts spaces between its words: Latin, Greek, Cyrillic, Hebrew, Arabic,
# the scripts of India, Georgian and others.
_SPACED = (
    rb"(?:[A-Za-z0-9]|[\xc3-\xdf][\x80-\xbf]|\xe0[\xa4-\xb7][\x80-\xbf]|\xe1[\x80-\xbf][\x80-\xbf])"
)
# Of one that does not, or that puts endings behind a word: Thai, Lao, Chinese, Japanese, Korean.
_UNSPACED = rb"(?:\xe0[\xb8-\xbb][\x80-\xbf]|\xe3[\x81-\xbf][\x80-\xbf]|[\xe4-\xed][\x80-\xbf]{2})"
_LETTER = rb"(?:%s|%s)" % (_SPACED, _UNSPACED)
# RFC 5321 allows more signs; in pages those separate words. A name is not cut from running text
# without spaces: so its letters are either all of spaced scripts or a few of the others.
_LOCAL = re.compile(rb"(?:%s|[_.+'-])+\Z" % _SPACED)
_UNSPACED_LOCAL = re.compile(rb"(?:%s){1,8}(?:[0-9_.-]{1,12})?\Z" % _UNSPACED)
_LABEL = rb"%s(?:(?:%s|-){0,61}%s)?" % (_LETTER, _LETTER, _LETTER)
_TOP_BEFORE_TEXT = "|".join(  # where text follows without a space
    (
        *("中国", "中國", "香港", "台湾", "台灣", "澳門", "新加坡", "公司", "网络", "網絡", "在线"),
        *("中文网", "网址", "商城", "网店", "政务", "公益", "机构", "集团", "手机", "移动", "商标"),
        *("游戏", "企业", "娱乐", "信息", "我爱你", "한국", "닷컴", "닷넷", "삼성", "みんな"),
        *("コム", "ストア", "ไทย", "คอม"),
    )
).encode()
_TOP = rb"(?:xn--[A-Za-z0-9-]{2,40}|[A-Za-z]{2,18}|(?:(?![A-Za-z0-9])%s){2,14}|%s)" % (
    _SPACED,
    _TOP_BEFORE_TEXT,
)
_AFTER_AT = re.compile(
    rb"(?:%s\.){1,8}(?:%s|%s(?!%s|[_@]|-[A-Za-z0-9]))" % (_LABEL, _TOP_BEFORE_TEXT, _TOP, _SPACED)
)
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
    stop = at - (spelled and data[at - 1 : at] == b" ")
    local = _local_part(data[max(begin, stop - _LONGEST_LOCAL - 4) : stop])
    domain = (_SPELLED_AFTER if spelled else _AFTER_AT).match(
        data, after, min(end, after + _LONGEST_DOMAIN)
    )
    if not local or domain is None:
        return None
    name = domain[0]
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
    return stop - len(local), domain.end()


def _local_part(before: bytes) -> bytes:
    """The name that ends `before`; empty if there is none, or if it is too long."""
    found = _LOCAL.search(before)
    if found:
        name = found[0].removeprefix(b"'")
        begins = name[:1] not in (b".", b"+", b"-", b"'")
        return name if begins and len(name) <= _LONGEST_LOCAL else b""
    found = _UNSPACED_LOCAL.search(before)
    return found[0] if found else b""


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
