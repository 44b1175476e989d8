"""Charsets: what is declared, met and detected is weighed over all bytes, in pages and in texts."""

import time

import pytest
from corpusmill.stages.readers.charset import decoded

from tests.stages.readers.warc_bytes import answer, put, record, rows_of

TEXTS = {
    "ko": "시의회는 다리 수리를 위해 도로를 폐쇄하며 운전자는 옛길을 이용해야 한다고 밝혔다.",
    "ja": "町議会は、橋の修理のために道路を閉鎖し、運転手は旧道を使うようにと述べた。",
    "zh": "市议会表示，由于桥梁维修，道路将关闭两周，司机应使用磨坊旁边的旧路，商店照常营业。",
    "tw": "市議會表示，由於橋樑維修，道路將關閉兩週，司機應使用磨坊旁邊的舊路，商店照常營業。",
    "ru": "Городской совет сообщил, что дорога будет закрыта на две недели из-за ремонта моста.",
    "uk": "Міська рада повідомила, що дорогу буде закрито на два тижні через ремонт мосту, "
    "їздити поруч.",
    "el": "Το δημοτικό συμβούλιο είπε ότι ο δρόμος θα κλείσει για δύο εβδομάδες λόγω επισκευής.",
    "he": "מועצת העיר הודיעה כי הדרך תיסגר לשבועיים בשל תיקון הגשר, ועל הנהגים לנסוע בדרך הישנה.",
    "ar": "قال مجلس المدينة إن الطريق سيغلق لمدة أسبوعين أثناء إصلاح الجسر وعلى السائقين "
    "استخدام الطريق القديم.",
    "th": "สภาเทศบาลกล่าวว่าถนนจะปิดเป็นเวลาสองสัปดาห์ระหว่างการซ่อมสะพาน และผู้ขับขี่ควรใช้ถนนสายเก่า",
    "pl": "Rada miasta ogłosiła, że droga będzie zamknięta przez dwa tygodnie, ponieważ "
    "most się naprawia.",
    "cs": "Městská rada oznámila, že silnice bude na dva týdny uzavřena, protože se "
    "opravuje starý most.",
    "hu": "A városi tanács közölte, hogy az utat két hétre lezárják, mert a régi hidat "
    "kell felújítani őszig.",
    "tr": "Belediye meclisi, köprü onarılırken yolun iki hafta kapalı kalacağını ve sürücülerin "
    "eski yolu kullanması gerektiğini söyledi.",
    "lt": "Miesto taryba pranešė, kad kelias dvi savaites bus uždarytas, kol bus taisomas "
    "senasis tiltas.",
    "lv": "Pilsētas dome paziņoja, ka ceļš uz divām nedēļām būs slēgts, jo labos veco tiltu.",
    "et": "Linnavolikogu teatas, et tee suletakse kaheks nädalaks, kuni vana silda "
    "parandavad töölised.",
    "hr": "Gradsko vijeće priopćilo je da će cesta biti zatvorena dva tjedna jer se popravlja "
    "stari most, a građani će ići drugdje.",
    "ro": "Consiliul orăşenesc a anunţat că drumul va fi închis două săptămâni, până când podul "
    "vechi va fi reparat.",
    "is": "Bæjarstjórn tilkynnti að vegurinn verði lokaður í tvær vikur á meðan gamla brúin er "
    "löguð, og það á að ljúka í þessum mánuði.",
    "de": "Der Stadtrat erklärte, dass die Straße während der Arbeiten für zwei Wochen "
    "gesperrt würde.",
    "fr": "Le conseil a déclaré que la route serait fermée pendant deux semaines, jusqu'à "
    "la fin de l'été.",
}
CHARSETS = {
    "ko": {"cp949": "euc-kr"},
    "ja": {"euc_jp": "euc-jp", "cp932": "shift_jis", "iso2022_jp": "iso-2022-jp"},
    "zh": {"gb18030": "gb2312", "hz": "hz-gb-2312"},
    "tw": {"big5hkscs": "big5"},
    "ru": {
        "koi8_r": "koi8-r",
        "cp1251": "windows-1251",
        "iso8859_5": "iso-8859-5",
        "cp866": "ibm866",
    },
    "uk": {"koi8_u": "koi8-u", "cp1251": "windows-1251"},
    "el": {"cp1253": "windows-1253", "iso8859_7": "iso-8859-7"},
    "he": {"cp1255": "windows-1255", "iso8859_8": "iso-8859-8"},
    "ar": {"cp1256": "windows-1256", "iso8859_6": "iso-8859-6"},
    "th": {"cp874": "tis-620"},
    "pl": {"cp1250": "windows-1250", "iso8859_2": "iso-8859-2"},
    "cs": {"cp1250": "windows-1250", "iso8859_2": "iso-8859-2"},
    "hu": {"cp1250": "windows-1250", "iso8859_2": "iso-8859-2"},
    "tr": {"cp1254": "windows-1254", "iso8859_9": "iso-8859-9"},
    "lt": {"cp1257": "windows-1257", "iso8859_13": "iso-8859-13"},
    "lv": {"cp1257": "windows-1257", "iso8859_13": "iso-8859-13"},
    "et": {"cp1257": "windows-1257", "iso8859_15": "iso-8859-15"},
    "hr": {"cp1250": "windows-1250", "iso8859_2": "iso-8859-2"},
    "ro": {"cp1250": "windows-1250", "iso8859_2": "iso-8859-2"},
    "is": {"cp1252": "windows-1252", "iso8859_15": "iso-8859-15"},
    "de": {"cp1252": "windows-1252", "iso8859_15": "iso-8859-15"},
    "fr": {"cp1252": "windows-1252", "mac_roman": "macintosh"},
}
CASES = [
    pytest.param(TEXTS[language], codec, label, id=f"{language}-{label}")
    for language, labels in CHARSETS.items()
    for codec, label in labels.items()
]
UNDECLARED = [
    case for case in CASES if "macintosh" not in str(case.id) and "hz" not in str(case.id)
]
UNICODE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8")


def in_page(data, label=None):
    meta = f'<meta charset="{label}">'.encode() if label else b""
    return (
        b"<!DOCTYPE html><html><head>" + meta + b"<title>News</title></head><body>"
        b'<div class="menu"><a href="/">Home</a></div><p>' + data + b"</p></body></html>"
    )


@pytest.mark.parametrize(("text", "codec", "label"), UNDECLARED)
@pytest.mark.parametrize("header", [None, "utf-8", "iso-8859-1", "x-unknown"])
def test_a_charset_that_nobody_declares_is_found(text, codec, label, header):
    given = (text * 2).encode(codec)
    assert decoded(given, header)[0] == text * 2
    page = decoded(in_page(given), header)[0]
    assert f"<p>{text * 2}</p>" in page


@pytest.mark.parametrize(("text", "codec", "label"), CASES)
@pytest.mark.parametrize("header", [None, "utf-8", "iso-8859-1"])
def test_what_a_page_declares_counts_more_than_a_servers_default(text, codec, label, header):
    for meta in (label, label.upper()):
        page = decoded(in_page(text.encode(codec), meta), header)[0]
        assert f"<p>{text}</p>" in page


@pytest.mark.parametrize(("text", "codec", "label"), CASES)
def test_a_header_that_is_right_counts(text, codec, label):
    assert decoded(text.encode(codec), label)[0] == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("codec", UNICODE)
@pytest.mark.parametrize("header", [None, "utf-8", "euc-kr", "windows-1251", "iso-2022-jp"])
def test_unicode_without_a_mark_is_unicode_whatever_is_declared(text, codec, header):
    given = text if " " in text else f"{text}\n{text} 2024"
    assert decoded(given.encode(codec), header) == (given, codec)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("header", [None, "utf-8", "iso-8859-1", "euc-kr", "gb2312"])
def test_utf8_with_a_few_broken_bytes_remains_utf8(text, header):
    given = (text * 3).encode()
    cut = given[:50] + b"\xff" + given[50:] + b"\xe9 caf\xe9"
    found, codec = decoded(cut, header)
    assert codec == "utf-8"
    assert 0 < found.count("\ufffd") <= 6


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"caf\xe9", "café"),
        (b"a na\xefve r\xf4le", "a naïve rôle"),
        (b"\x93Quoted\x94 \x96 it\x92s", "“Quoted” – it’s"),
        (b"100 \x80", "100 €"),
        (
            b"\x93Yes,\x94 he said \x97 it\x92s \xa35, not \xa510. " * 20,
            "“Yes,” he said — it’s £5, not ¥10. " * 20,
        ),
        (b"plain", "plain"),
        (b"~{ and ~} in C", "~{ and ~} in C"),
    ],
)
def test_a_few_bytes_of_western_text_are_read_as_western_text(payload, text):
    assert decoded(payload, None)[0] == text
    assert decoded(payload, "utf-8")[0] == text


def test_texts_in_archives_and_files_are_read_in_their_charset(tmp_path):
    text = TEXTS["ko"]
    for name in ("a.txt", "a.md", "a"):
        (row,) = rows_of(put(tmp_path, name, text.encode("cp949")))
        assert row["text"] == text
    given = record(0, text.encode("cp949"), "conversion", "text/plain")
    (row,) = rows_of(put(tmp_path, "a.wet", given))
    assert row["text"] == text
    block = answer(text.encode("cp949"), Content_Type="text/plain; charset=utf-8")
    (row,) = rows_of(put(tmp_path, "a.warc", record(0, block)))
    assert decoded(row["payload"], row["charset"])[0] == text


@pytest.mark.parametrize(
    "unit",
    [
        TEXTS["ru"].encode("koi8_r"),
        b"a\xe9" * 50,
        b"\xff",
        b"\x80\x81",
        b"abcdefghij" * 20 + b"\xe9",
        b"~{",
        b"\x1b$B",
        b"\0a",
    ],
)
def test_time_grows_with_the_length(unit):
    def seconds(size):
        started = time.process_time()
        decoded(unit * (size // len(unit)), None)
        return time.process_time() - started

    seconds(10_000)
    assert seconds(8_000_000) < 16 * seconds(1_000_000) + 0.5


@pytest.mark.parametrize(
    "text",
    [
        "I´d love it if people would check it out, and so would California´s farmers.",
        "any claim or aggregate of claims of £200 for damage to the car, or theft of it",
        "the federal budget was cut by 3½ percent in the first two years, and balanced",
        "Orkney Crab Pâté with Crème Fraiche and Dijon Mustard on the menu of the day",
        "the women's pole vault (15' 1 ½\") establishing a record in the indoor season",
        "In these conditions the El Niño effect of 1997 and 1998 resulted in a drought",
        "Dát is the bank of the town. Our aim is to help people to do what they wish.",
    ],
)
@pytest.mark.parametrize("header", [None, "utf-8", "iso-8859-1"])
def test_english_pages_with_a_few_signs_are_western(text, header):
    assert decoded(text.encode("cp1252"), header)[0] == text


@pytest.mark.parametrize("header", [None, "utf-8", "iso-8859-1"])
def test_a_page_made_of_parts_in_two_charsets_is_read_whole(header):
    parts = ["the company’s share “today”", "José García’s café", "naïve – and “true”"]
    mixed = parts[0].encode() + b"\n" + "\n".join(parts[1:]).encode("cp1252")
    assert decoded(mixed, header) == ("\n".join(parts), "utf-8")
