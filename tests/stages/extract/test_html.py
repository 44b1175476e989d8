"""Charset, MIME type by content, cleaning, and what holds for every extractor."""

import codecs
import time

import pytest
from corpusmill.stages.extract.html import clean, extractor_version, main_text, tidy
from corpusmill.stages.extract.resiliparse import NestedTooDeeply, nesting
from corpusmill.stages.extract.stop_lists import stop_list
from corpusmill.stages.readers.charset import decoded
from corpusmill.stages.readers.content_type import binary_mime, sniffed_mime

EXTRACTORS = ("main_content", "union", "resiliparse", "justext", "trafilatura")
GERMAN = "Grüße aus Köln, wo größere Überschwemmungen drohen"
JAPANESE = "東京は夜の七時。明日の天気は晴れでしょう。"
RUSSIAN = (
    "Река поднялась за ночь, и к утру нижние поля были под водой. Люди пошли к мосту "
    "посмотреть на неё."
)

ARTICLE = """<!DOCTYPE html><html><head><title>Flood</title><style>p { color: red }</style>
<script>var tracking = "do not extract me";</script></head>
<body><nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li>\
<li><a href="/shop">Shop</a></li></ul></nav>
<article><h1>The river rises</h1>
<p>The river had risen during the night, and by the morning the lower fields were under \
water. People walked up to the bridge
to look at it, and they talked about the floods of other years, when the road had been \
closed for a whole week.</p>
<p>The mayor said that there was no danger for the village, but that the school would stay closed \
until the water had gone
down again. A farmer who has lived by the river for sixty years was not so sure about that, \
and he moved his sheep.</p>
</article><footer><a href="/imprint">Imprint</a> <a href="/privacy">Privacy</a></footer>\
</body></html>"""


def in_english(_text):
    return "en"


@pytest.mark.parametrize(
    ("payload", "declared", "text", "codec"),
    [
        (GERMAN.encode(), "utf-8", GERMAN, "utf-8"),
        (GERMAN.encode(), None, GERMAN, "utf-8"),
        (GERMAN.encode("latin-1"), "iso-8859-1", GERMAN, "cp1252"),
        (JAPANESE.encode("cp932"), "Shift_JIS", JAPANESE, "cp932"),
        (JAPANESE.encode("euc-jp"), "euc-jp", JAPANESE, "euc_jp"),
        ("한국어".encode("cp949"), "EUC-KR", "한국어", "cp949"),
        ("汉字龍".encode("gb18030"), "gb2312", "汉字龍", "gb18030"),
        # A syllable that EUC-KR proper does not have.
        (
            "똠방각하".encode("cp949"),
            "EUC-KR",
            "똠방각하",
            "cp949",
        ),
        ("①㈱".encode("cp932"), "shift_jis", "①㈱", "cp932"),
        (RUSSIAN.encode("cp1251"), None, RUSSIAN, "cp1251"),
        (codecs.BOM_UTF8 + GERMAN.encode(), "iso-8859-1", GERMAN, "utf-8"),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), None, GERMAN, "utf-16-le"),
        (codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"), "utf-8", GERMAN, "utf-16-be"),
    ],
)
def test_a_page_is_read_in_its_charset(payload, declared, text, codec):
    assert decoded(payload, declared) == (text, codec)


@pytest.mark.parametrize(
    "head",
    [
        '<meta charset="windows-1251">',
        "<META http-equiv=Content-Type content='text/html; charset=windows-1251'>",
    ],
)
def test_the_charset_of_a_meta_element_counts_where_the_header_says_nothing(head):
    assert decoded((head + RUSSIAN).encode("cp1251"), None) == (head + RUSSIAN, "cp1251")


def test_the_encoding_of_an_xml_declaration_counts():
    text = '<?xml version="1.0" encoding="iso-8859-2"?><p>Zażółć gęślą jaźń</p>'
    assert decoded(text.encode("iso-8859-2"), None) == (text, "iso8859-2")


def test_valid_utf8_is_utf8_whatever_the_header_says():
    assert decoded(GERMAN.encode(), "iso-8859-1") == (GERMAN, "utf-8")


def test_a_meta_element_in_ascii_cannot_mean_utf16():
    text = '<meta charset="utf-16">' + GERMAN
    assert decoded(text.encode(), None) == (text, "utf-8")


def test_a_few_broken_bytes_do_not_turn_utf8_into_something_else():
    payload = (GERMAN * 5).encode() + b"\xc3 cut"
    text, codec = decoded(payload, "utf-8")
    assert codec == "utf-8"
    assert text == GERMAN * 5 + "\ufffd cut"


def test_a_page_that_only_claims_to_be_utf8_is_detected():
    text, codec = decoded((RUSSIAN * 3).encode("cp1251"), "utf-8")
    assert (text, codec) == (RUSSIAN * 3, "cp1251")


@pytest.mark.parametrize(
    "declared", ["", "none", "x-unknown", "base64", "utf-8,gzip", "\x00", "a" * 5000]
)
def test_a_charset_that_means_nothing_is_ignored(declared):
    assert decoded(GERMAN.encode(), declared) == (GERMAN, "utf-8")


@pytest.mark.parametrize("payload", [b"", b"\xff", bytes(range(256)) * 4, b"\x80" * 1000])
@pytest.mark.parametrize(
    "declared", [None, "utf-8", "shift_jis", "gb18030", "utf-16", "iso-2022-jp"]
)
def test_any_bytes_become_text_that_utf8_can_hold(payload, declared):
    text, _ = decoded(payload, declared)
    assert "\0" not in text
    assert text.encode() is not None


@pytest.mark.parametrize(
    ("payload", "mime"),
    [
        (b"  <!-- a comment -->\n<!DOCTYPE HTML><p>x", "text/html"),
        (b"<HTML>", "text/html"),
        ("<title>Grüße</title>".encode("latin-1"), "text/html"),
        (codecs.BOM_UTF16_LE + "<html>".encode("utf-16-le"), "text/html"),
        (
            b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">',
            "application/xhtml+xml",
        ),
        (b'<?xml version="1.0"?><rss>', "application/xml"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"just words", "text/plain"),
        (b"\x01\x02\x00\x03", "application/octet-stream"),
    ],
)
def test_the_mime_type_is_told_by_content(payload, mime):
    assert sniffed_mime(payload) == mime


def test_only_known_signatures_are_binary():
    assert binary_mime(b"GIF89a") == "image/gif"
    assert binary_mime(b"<html>") is None


def test_cleaning_takes_out_control_characters_and_keeps_tabs_and_newlines():
    assert clean("a\0b\x07c\x7fd\x9be\ufefff\tg\nh") == "abcdef\tg\nh"


def test_every_line_end_becomes_a_newline():
    assert clean("a\r\nb\rc\x85d\u2028e\u2029f") == "a\nb\nc\nd\ne\nf"


def test_tidying_takes_out_trailing_space_and_runs_of_blank_lines():
    assert tidy("\n\na  \n \n\n\n\tb\t\nc \n") == "a\n\n\tb\nc"


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_an_extractor_keeps_the_article_and_leaves_the_page_furniture(extractor):
    text = main_text(ARTICLE, extractor, in_english)
    assert "People walked up to the bridge" in text
    assert "he moved his sheep" in text
    for furniture in ("do not extract me", "color: red", "Imprint", "Shop", "<p>"):
        assert furniture not in text


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize(
    "page", ["", "   \n", "<html></html>", "<!-- -->", "<", "&#0;&#xD800;", "<?xml version='1.0'?>"]
)
def test_a_page_without_text_is_empty_and_no_error(extractor, page):
    assert main_text(page, extractor, in_english).strip("<\ufffd") == ""


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_an_xml_declaration_with_an_encoding_does_not_disturb(extractor):
    page = '<?xml version="1.0" encoding="utf-16"?>\n' + ARTICLE.replace("sheep", "Schäfchen")
    assert "he moved his Schäfchen" in main_text(page, extractor, in_english)


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("tag", ["b", "table", "p", "ul><li", "span", "font"])
def test_a_hundred_thousand_nested_tags_neither_crash_nor_hang(extractor, tag):
    start = time.monotonic()
    main_text(f"<html><body>{f'<{tag}>' * 100_000}deep down", extractor, in_english)
    assert time.monotonic() - start < 60


def test_nesting_counts_open_blocks_and_not_closed_ones():
    assert nesting("<div>" * 5 + "</div>" * 5 + "<DIV class=a><article><p>") == 5
    assert nesting("</div></div><div>") == 1
    assert nesting("<divan><span>" * 9) == 0


@pytest.mark.parametrize("extractor", ["resiliparse", "union"])
def test_a_page_that_resiliparse_would_take_minutes_for_is_refused_with_its_depth(extractor):
    with pytest.raises(NestedTooDeeply, match="depth=3000 > 2000"):
        main_text("<html><body>" + "<div>" * 3000 + "deep", extractor, in_english)


def test_a_version_names_what_decides_the_text():
    assert extractor_version("trafilatura").startswith("trafilatura 2")
    assert extractor_version("main_content").split()[0::2] == ["main_content", "justext"]
    assert extractor_version("union").split()[0::2] == ["main_content", "justext", "resiliparse"]


def test_jus_text_asks_for_the_language_and_uses_its_stop_words():
    asked = []

    def in_german(text):
        asked.append(text)
        return "de"

    german = main_text(ARTICLE, "justext", in_german)
    assert "moved his sheep" in asked[0]
    # English prose has no German stop words, so all of it looks like boilerplate.
    assert german == ""


def test_a_language_without_stop_words_is_extracted_all_the_same():
    assert stop_list("ja") == frozenset()
    assert "the" in stop_list("en")
    assert "bridge" in main_text(ARTICLE, "justext", lambda _text: "ja")


def test_trafilatura_does_not_remember_the_pages_before():
    assert len({main_text(ARTICLE, "trafilatura", in_english) for _ in range(5)}) == 1
