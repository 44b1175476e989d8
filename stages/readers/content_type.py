"""What a body is, by its content and by what its header says.

Servers send pages as plain text, images as pages, and data under any type. So the content decides,
as in the WHATWG MIME sniffing standard. Beyond that standard, prose is told from data (JSON, feeds,
scripts, style sheets), which a browser need not do.
"""

import codecs
import json
import re

from corpusmill.stages.readers.utf16 import utf16_of

OCTETS = "application/octet-stream"
_PAGES = ("text/html", "application/xhtml+xml")
# What servers send when they do not know.
_UNKNOWN = frozenset(
    (
        None,
        "",
        OCTETS,
        "*/*",
        "text",
        "html",
        "none",
        "null",
        "no-type",
        "unknown",
        "unknown/unknown",
        "application/unknown",
        "application/x-unknown",
        "application/x-unknown-content-type",
        "application/x-download",
        "application/download",
        "application/force-download",
        "application/x-forcedownload",
        "application/x-octet-stream",
        "binary/octet-stream",
    )
)
_START = 4096
_SKIP = rb"(?:\xef\xbb\xbf)?\s*+"
# Possessive, so that a page of comments costs no more than its length.
_COMMENTS = rb"(?:<!--(?>.{0,2000}?-->)\s*+)*+"
_XML = rb"(?:<\?xml[^>]{0,400}>\s*+)?+"
_DOCUMENT_START = re.compile(
    _SKIP + _COMMENTS + _XML + _COMMENTS + rb"<(?:!doctype\s+html|html)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_HTML_START = re.compile(
    _SKIP
    + _COMMENTS
    + rb"<(?:!doctype\s+html|html|head|body|title|script|style|link|meta|base|table|div|section|"
    rb"article|main|header|nav|form|center|h[1-6]|p|ul|ol|dl|br|hr|a|b|i|span|img|font|iframe|"
    rb"frameset|noscript|blockquote|pre)[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
_END_TAG = re.compile(
    rb"</(?:p|div|td|tr|li|a|b|i|em|strong|span|h[1-6]|ul|ol|table|html|body|head|title|script|"
    rb"style|section|article|blockquote|pre|center|font)\s*>",
    re.IGNORECASE,
)
_TAG = re.compile(
    rb"<(?=[!/a-z])(?:!doctype\b|!--|/?(?:html|head|body|title|meta|link|base|script|style|noscript|div|span|"
    rb"p|br|hr|a|b|i|u|s|em|strong|small|big|center|font|tt|code|pre|kbd|samp|var|cite|abbr|q|"
    rb"h[1-6]|ul|ol|li|dl|dt|dd|table|caption|thead|tbody|tfoot|tr|td|th|form|input|button|"
    rb"select|option|textarea|label|fieldset|legend|img|svg|figure|figcaption|picture|video|audio|"
    rb"source|iframe|frame|frameset|object|embed|param|map|area|section|article|main|aside|nav|"
    rb"header|footer|address|blockquote|details|summary|time|mark|sub|sup|del|ins|nobr|wbr|"
    rb"marquee|blink|template|canvas|ruby|rt|rp|rb|bdi|bdo)(?:[\s/>]|\Z))",
    re.IGNORECASE,
)
_REFERENCE = re.compile(rb"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_XML_ROOT = re.compile(
    _SKIP + _COMMENTS + rb"(?:<\?xml\b|<(?:rss|feed|rdf:rdf|urlset|sitemapindex|opml|svg|wsdl|"
    rb"soap(?:-env)?:envelope|xsl:stylesheet|kml|gpx|plist|error)[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_XHTML = re.compile(rb"<(?:html|xhtml:html|!doctype\s+html)[\s>]", re.IGNORECASE)
_SCRIPT_START = re.compile(
    rb"(?:/\*.{0,2000}?\*/\s*+|//[^\n]{0,2000}\n\s*+)*+"
    rb"(?:[!;+(]*function\b\s*\w*\s*\(|[\"']use strict[\"']|"
    rb"(?:var|let|const)\s+[\w$]+\s*(?:=|;|,)|"
    rb"(?:window|document|self|module|exports|jQuery|\$)(?:\.[\w$]+)+\s*[=(]|"
    rb"(?:\$|jQuery|define|require)\s*\(|"
    rb"(?:import|export)\s[^\n]{0,300}(?:from\s*[\"']|[\"'];|function|default|const|class)|"
    rb"(?:async\s+)?function\s+[\w$]+\s*\(|\(\s*(?:async\s*)?\([^)\n]{0,200}\)\s*=>|"
    rb"(?:/\*\*/\s*)?[A-Za-z_$][\w$.]*\(\s*[\[{])",
    re.DOTALL,
)
_STYLE_START = re.compile(
    rb"(?:/\*.{0,2000}?\*/\s*+)*+"
    rb"(?:@(?:charset|import|font-face|media|namespace|keyframes|supports|layer)\b|"
    rb"[.#*:\[\]=\"'\w ,>+~()-]{1,300}\{\s*(?:/\*.{0,500}?\*/\s*)?"
    rb"[a-zA-Z-]{2,40}\s*:[^;{}]{1,400}[;}])",
    re.DOTALL,
)
_BINARY_STARTS = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x04\x22\x4d\x18", "application/x-lz4"),
    (b"Rar!", "application/vnd.rar"),
    (b"7z\xbc\xaf", "application/x-7z-compressed"),
    (b"\xd0\xcf\x11\xe0", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"%!PS", "application/postscript"),
    (b"OggS", "application/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"OTTO", "font/otf"),
    (b"\x7fELF", "application/x-elf"),
    (b"MZ", "application/x-msdownload"),
    (b"\xca\xfe\xba\xbe", "application/java-vm"),
    (b"SQLite format 3", "application/vnd.sqlite3"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"\x00asm", "application/wasm"),
    (b"CWS", "application/x-shockwave-flash"),
    (b"FWS", "application/x-shockwave-flash"),
)
_SHORT_STARTS = frozenset((b"BM", b"MZ", b"ID3", b"BZh", b"CWS", b"FWS"))  # words begin so, too
_IN_BOX = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
# Bytes that are in no text (WHATWG MIME sniffing, "binary data byte").
_BINARY_BYTES = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])
_LONGEST_SNIFF = 1 << 16
_LONGEST_SEARCH = 1 << 20  # for a first tag
_MOST_BINARY = 0.01  # of the bytes of a text; random bytes have 11 %
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF8)


def mime_of(payload: bytes, declared: str | None) -> str:
    """The MIME type of a body: what its header says, unless the content is certainly another.

    declared: from the header, in lower case without parameters. A page may be declared as anything.
    What is declared as a page may be plain text, JSON, XML, a script or a style sheet.
    """
    if declared in _UNKNOWN or declared is None:
        return sniffed_mime(payload)
    binary = binary_mime(payload)
    if binary:
        return binary
    start = _readable_start(payload)
    if _DOCUMENT_START.match(start):
        return declared if declared in _PAGES else "text/html"
    if declared == "text/plain":
        if _XML_ROOT.match(start):
            return _xml_mime(start)
        return "text/html" if _is_page_part(payload, start) else declared
    if declared in _PAGES:
        return _mime_of_page(payload, start, declared)
    if declared.endswith(("/xml", "+xml")) and _XHTML.search(start):
        return "application/xhtml+xml"
    return declared


def sniffed_mime(payload: bytes) -> str:
    """The MIME type by content, for a body whose headers give none."""
    binary = binary_mime(payload)
    if binary:
        return binary
    start = _readable_start(payload)
    if _HTML_START.match(start):
        return "text/html"
    if _XML_ROOT.match(start):
        return _xml_mime(start)
    return _data_mime(payload, start) or "text/plain"


def binary_mime(payload: bytes) -> str | None:
    """The MIME type of a file that is no text, whatever its headers say. None for text."""
    for start, mime in _BINARY_STARTS:
        if payload.startswith(start) and (start not in _SHORT_STARTS or _has_binary(payload)):
            return mime
    if payload.startswith(b"RIFF") and payload[8:12] in _IN_BOX:
        return _IN_BOX[payload[8:12]]
    if payload[4:8] == b"ftyp" and _has_binary(payload):
        return "video/mp4"
    if payload[257:262] == b"ustar":
        return "application/x-tar"
    return OCTETS if _has_binary(payload) and utf16_of(payload) is None else None


def is_page(payload: bytes) -> bool:
    """Whether the bytes are a whole HTML document: they begin as only such a one does."""
    return bool(_DOCUMENT_START.match(_readable_start(payload)))


def _mime_of_page(payload: bytes, start: bytes, declared: str) -> str:
    """The type of a body that is declared as a page, and does not begin as a whole one."""
    if _HTML_START.match(start):
        return declared
    if _XML_ROOT.match(start):
        found = _xml_mime(start)
        return declared if found in _PAGES else found
    data = _data_mime(payload, start)
    if data:
        return data
    text = payload[:_LONGEST_SEARCH]
    if utf16_of(payload) is not None:
        text = text.replace(b"\0", b"")
    if _TAG.search(text) or _REFERENCE.search(text):
        return declared
    return "text/plain" if b"\n" in text.strip() else declared


def _data_mime(payload: bytes, start: bytes) -> str | None:
    """JSON, a script or a style sheet, if the text is one and holds no markup before."""
    text = start.lstrip()
    if text[:1] in (b"{", b"[") and _is_json(payload):
        return "application/json"
    if _TAG.search(start):
        return None
    if _SCRIPT_START.match(text) and re.search(rb"[;})]\s*\Z", payload[-200:]):
        return "text/javascript"
    if _STYLE_START.match(text) and payload.rstrip()[-1:] in (b"}", b"/", b";"):
        return "text/css"
    return None


def _is_json(payload: bytes) -> bool:
    if payload.rstrip()[-1:] not in (b"}", b"]"):
        return False
    try:
        json.loads(payload)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _xml_mime(start: bytes) -> str:
    return "application/xhtml+xml" if _XHTML.search(start) else "application/xml"


def _is_page_part(payload: bytes, start: bytes) -> bool:
    """Whether a text is markup from its first byte on: it begins with a tag and has end tags."""
    if not _HTML_START.match(start):
        return False
    ends = _END_TAG.findall(payload[:_LONGEST_SNIFF])
    return len(ends) >= 3 or bool(ends and _END_TAG.search(payload.rstrip()[-20:]))


def _readable_start(payload: bytes) -> bytes:
    """The beginning as ASCII shows it: without a byte order mark, and without UTF-16's zeros."""
    start = payload[:_START]
    if utf16_of(payload[:_LONGEST_SNIFF]) is not None:
        start = payload[: 2 * _START].replace(b"\0", b"")
    for mark in _BOMS:
        start = start.removeprefix(mark)
    return start


def _has_binary(payload: bytes) -> bool:
    sample = payload[:_LONGEST_SNIFF]
    found = len(sample) - len(sample.translate(None, _BINARY_BYTES))
    return found > _MOST_BINARY * len(sample)
