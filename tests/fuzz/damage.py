"""Inputs for fuzz targets: valid bytes with damage, and hostile pages."""

from hypothesis import strategies as st

from tests.stages.readers.warc_bytes import PROSE

KEY_BYTES = [
    b"\r\n",
    b"\n\n",
    b"\0",
    b"\xff",
    b"WARC/1.0\r\n",
    b"Content-Length: ",
    b"HTTP/1.1 200 OK\r\n",
    b"\x1f\x8b\x08",
    b"filedesc://",
]
KEY_BYTES += [
    b"<",
    b">",
    b"&",
    b"<!--",
    b"]]>",
    b"99999999999",
    b"-1",
    b"chunked",
    b"\x28\xb5\x2f\xfd",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
]


@st.composite
def damaged(draw, whole, most=4):
    """The bytes of `whole` (a strategy) after at most `most` edits.

    An edit cuts, flips, repeats, swaps or inserts.
    """
    data = draw(whole)
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 40) | st.integers(0, len(data)))
        what = draw(st.sampled_from(["cut", "flip", "repeat", "insert", "end", "swap"]))
        if what == "cut":
            data = data[:at] + data[at + size :]
        elif what == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
        elif what == "repeat":
            data = data[: at + size] + data[at:]
        elif what == "insert":
            data = data[:at] + draw(st.sampled_from(KEY_BYTES) | st.binary(max_size=20)) + data[at:]
        elif what == "end":
            data = data[:at]
        else:
            data = data[at:] + data[:at]
    return data


TAGS = [
    "p",
    "div",
    "table",
    "tr",
    "td",
    "ul",
    "li",
    "h1",
    "pre",
    "code",
    "a",
    "b",
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "math",
]
TAGS += [
    "annotation",
    "iframe",
    "select",
    "option",
    "textarea",
    "title",
    "head",
    "body",
    "html",
    "form",
    "frameset",
    "plaintext",
    "br",
    "img",
    "p/",
]
TEXTS = st.sampled_from(
    [
        PROSE,
        "short",
        "\0",
        "\u2028",
        "&#x0;",
        "&#xD800;",
        "&#1114112;",
        "&amp;lt;",
        "\ufeff",
        "🙂" * 20,
        "x" * 500,
        "\x80\x99",
    ]
)
ATTRIBUTES = st.sampled_from(
    [
        "",
        " class=menu",
        " href='http://a/'",
        " style='display:none'",
        " colspan=99999999",
        " alt='TeX'",
        " x",
        ' id="',
        " =",
        " hidden",
    ]
)
PIECES = st.one_of(
    TEXTS,
    st.text(max_size=20),
    st.tuples(
        st.sampled_from(["<", "</", "<!"]),
        st.sampled_from(TAGS),
        ATTRIBUTES,
        st.sampled_from([">", "/>", "", " "]),
    ).map("".join),
    st.sampled_from(
        [
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?xml version='1.0' encoding='utf-16'?>",
            "<!doctype html>",
            "<div>" * 300,
            "</div>" * 50,
        ]
    ),
)
PAGES = st.lists(PIECES, max_size=40).map("".join)
