"""Addresses that mean the same page, as one key.

Without scheme, user, `www.`, default port, fragment, tracking parameters, and slashes at the end
of the path. The host is in small letters. Paths and other parameters stay as they are: servers
tell them apart. Pages write other letters than ASCII as they are or encoded. Both become one form:
percent-encoded UTF-8 with capitals in paths, and punycode (IDNA 2003) in hosts. Everything else is
Arrow's own kernels, because a crawl has many links a page.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ADDRESS = (
    r"^(?i:https?)://(?:[^/?#]*@)?(?i:www\.)?(?P<host>[^/?#:@]+)"
    r"(?P<rest>(?:[/?:][^#]*)?)(?s:#.*)?$"
)
# Parameters that say where a visitor came from. They change no page.
_TRACKING = (
    r"utm_\w+|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|ttclid|igshid|li_fat_id|"
    r"mc_cid|mc_eid|mkt_tok|_ga|_gl|_hsenc|_hsmi|__hstc|__hssc|oly_anon_id|oly_enc_id|vero_id|"
    r"ref_src|ref_url|wt_mc|icid|cmpid"
)
_PORTS = (
    (r"^(?i:http)(://[^/?#]*):(?:80)?([/?#]|$)", r"http\1\2"),
    (r"^(?i:https)(://[^/?#]*):(?:443)?([/?#]|$)", r"https\1\2"),
)
_OTHER_LETTERS = r"[^\x00-\x7F]"
_TO_ENCODE = _OTHER_LETTERS + "|%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])"
_ASCII = "".join(map(chr, range(0x80)))
_REPLACED = (
    (r"([?&])(?:(?:" + _TRACKING + r")(?:=[^&]*)?(?:&|$))+", r"\1"),
    (r"[?&]+$", ""),
    (r"^([^?]*?)/+(\?.*)?$", r"\1\2"),
)


def normalised(urls: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """What tells pages apart in their addresses. Null if it is no web address."""
    for pattern, replacement in _PORTS:
        urls = pc.replace_substring_regex(urls, pattern, replacement)
    parts = pc.extract_regex(urls, _ADDRESS)
    rest = pc.struct_field(parts, "rest")
    for pattern, replacement in _REPLACED:
        rest = pc.replace_substring_regex(rest, pattern, replacement)
    rest = _changed(rest, _TO_ENCODE, _encoded)
    host = pc.utf8_lower(pc.struct_field(parts, "host"))
    host = _changed(host, _OTHER_LETTERS, _punycode)
    return pc.binary_join_element_wise(host, rest, "")


def _changed(
    texts: pa.Array | pa.ChunkedArray, pattern: str, change: Callable[[str], str]
) -> pa.Array | pa.ChunkedArray:
    """The texts, of which those that match the pattern, which are few, are changed in Python."""
    odd = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    if not pc.any(odd).as_py():
        return texts
    changed = [change(text) for text in texts.filter(odd).to_pylist()]
    mask = odd.combine_chunks() if isinstance(odd, pa.ChunkedArray) else odd
    return pc.replace_with_mask(texts, mask, pa.array(changed, texts.type))


def _encoded(path: str) -> str:
    return re.sub("%[0-9A-Fa-f]{2}", lambda code: code[0].upper(), quote(path, safe=_ASCII))


def _punycode(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:  # no host, such as one with an empty or a long part
        return host


def keys_of(urls: pa.Array | pa.ChunkedArray) -> "NDArray[np.uint64]":
    """A number for each page. 0: it is no web address, or the front page of a host.

    Sites link to their front page from everywhere, and it to everything, whatever it is about.
    Needs the compiled kernels.
    """
    import numpy as np
    from corpusmill.stages.columns.strings import joined
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes

    names = normalised(urls)
    names = names if isinstance(names, pa.ChunkedArray) else pa.chunked_array([names])
    keys = exact_hashes(*joined(names))[:, 0]
    inner = pc.fill_null(pc.match_substring_regex(names, "[/?]"), False).to_numpy()
    return np.where(inner, np.maximum(keys, np.uint64(1)), np.uint64(0))
