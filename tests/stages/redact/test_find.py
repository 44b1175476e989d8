"""What is personal data and what only looks like it, by kind."""

from itertools import pairwise

import pyarrow as pa
import pytest
from corpusmill.stages.redact.find import KINDS, find, find_in_column
from hypothesis import given
from hypothesis import strategies as st


def found(text, language=None, kinds=KINDS):
    data = text.encode()
    return [
        (span.kind, data[span.begin : span.end].decode()) for span in find(text, kinds, language)
    ]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Write to anna.lee+news@mail.company.co.uk.", "anna.lee+news@mail.company.co.uk"),
        ("<jo_e@host.de>", "jo_e@host.de"),
        ("mailto:jo@host.de?subject=x", "jo@host.de"),
        ("联系jo@host.com。谢谢", "jo@host.com"),
        ("Mail: jo@müller.de", "jo@müller.de"),
        ("info (at) host (dot) de", "info (at) host (dot) de"),
        ("info[at]host.de", "info[at]host.de"),
        ("'jo@host.de'", "jo@host.de"),
        ("ümlaut jo@host.de", "jo@host.de"),
        ("an jäne@firm-muster.de.", "jäne@firm-muster.de"),
        ("пишите иван@почта.рф, пожалуйста", "иван@почта.рф"),
        ("δοκιμή@παράδειγμα.ελ", "δοκιμή@παράδειγμα.ελ"),
        ("विजय@डाटा.भारत पर", "विजय@डाटा.भारत"),
        ("راسل علي@بريد.السعودية اليوم", "علي@بريد.السعودية"),
        ("联系：张三@例子.中国。谢谢", "张三@例子.中国"),
        ("请发到jo@例子.公司谢谢", "jo@例子.公司"),
        ("메일 홍길동@예시.한국으로", "홍길동@예시.한국"),
        ("jo@xn--mller-kva.de", "jo@xn--mller-kva.de"),
        ("jo@xn--80ak6aa92e.xn--p1ai", "jo@xn--80ak6aa92e.xn--p1ai"),
        ("ana.peña@correo.es", "ana.peña@correo.es"),
        ("連絡先：jo＠host.co.jp", "jo＠host.co.jp"),
    ],
)
def test_an_email_address_is_found_whole_and_without_its_surroundings(text, spelled):
    assert found(text) == [("email", spelled)]


@pytest.mark.parametrize(
    "text",
    [
        "someone@example.com",  # RFC 2606
        "user@host.test",
        "root@localhost",
        "logo@2x.png",
        "git clone git@github.com:owner/repository.git",
        "npm install vue@2.6.14",
        "https://medium.com/@someone/a-post",
        "@decorator.method",
        "follow @someone, @another",
        "a@b",
        "wait..@host.com",
        "meet (at) noon",
    ],
)
def test_what_only_has_an_at_sign_is_no_email_address(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("from 81.2.69.142 port 22", "81.2.69.142"),
        ("http://120.92.208.22:7476/", "120.92.208.22"),
        ("DNS: 8.8.8.8", "8.8.8.8"),
        ("host 2a00:1450:4001:81b::200e is up", "2a00:1450:4001:81b::200e"),
        ("2607:f8b0:4005:0805:0000:0000:0000:200e", "2607:f8b0:4005:0805:0000:0000:0000:200e"),
    ],
)
def test_an_address_that_the_internet_routes_is_found(text, spelled):
    assert found(text) == [("ip", spelled)]


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.9.9", "169.254.1.1", "100.64.0.1"),
        *("198.51.100.7", "203.0.113.9", "224.0.0.251", "fe80::1", "::1", "fd12:3456:789a:1::"),
        *("2001:db8::1", "std::string", "12:30:45", "2024:01:02", "81.2.69.0/24", "256.1.1.1"),
        *("81.2.69", "81.2.69.142.7", "v81.2.69.142", "version 91.2.69.142"),
        "Firefox/81.2.69.142",
        *("Section 7.8.2.1", "Lucee 5.3.2.77", "derby 10.12.1.1", "libfoo-81.2.69.142"),
    ],
)  # fmt: skip
def test_private_addresses_networks_versions_and_times_are_no_addresses(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "spelled", "language"),
    [
        ("+49 (0)30 420248-488", "+49 (0)30 420248-488", None),
        ("Kontakt +41 44 826 76 76.", "+41 44 826 76 76", None),
        ("+1.408.886.7177", "+1.408.886.7177", None),
        ("phone +49 - (40) - 300 30 - 1141", "+49 - (40) - 300 30 - 1141", None),
        ("(415) 766-4198", "(415) 766-4198", None),
        ("206.548.5600", "206.548.5600", None),
        ("MA 02142 617-253-1000", "617-253-1000", None),
        ("1-800-637-3181", "1-800-637-3181", None),
        ("Fon 07 11/97 81-0", "07 11/97 81-0", None),
        ("传真：0755-22648081", "0755-22648081", None),
        ("手机 13812345678", "13812345678", None),
        ("Tel. suscripciones : 971 717 308", "971 717 308", None),
        ("(0341) 696290", "(0341) 696290", "de"),
        ("0344 811 0126", "0344 811 0126", "en"),
        ("8 (495) 123-45-67", "8 (495) 123-45-67", "ru"),
        ("(call 0900 4683643)", "0900 4683643", None),
        ("Téléphone : 0142685300", "0142685300", None),
        ("Tlf. 33 12 34 56", "33 12 34 56", None),
        ("ĐT: 024 3825 2401", "024 3825 2401", None),
        ("Telp. 021 5201580", "021 5201580", None),
        ("फ़ोन: 98765 43210", "98765 43210", None),
        ("06-1-234-5678", "06-1-234-5678", "hu"),
        ("Ligue (11) 98765-4321", "(11) 98765-4321", "pt"),
        ("(21) 2345-6789", "(21) 2345-6789", "pt"),
        ("هاتف ٠١٠١٢٣٤٥٦٧٨", "٠١٠١٢٣٤٥٦٧٨", None),
        ("تلفن: ۰۲۱-۸۸۷۷۶۶۵۵", "۰۲۱-۸۸۷۷۶۶۵۵", None),
        ("โทร. ๐๒-๑๒๓-๔๕๖๗", "๐๒-๑๒๓-๔๕๖๗", None),
        ("০১৭১২–৩৪৫৬৭৮", "০১৭১২–৩৪৫৬৭৮", "bn"),
    ],
)
def test_a_telephone_number_is_found_by_its_form_its_country_or_the_word_before(
    text, spelled, language
):
    assert found(text, language) == [("phone", spelled)]


def test_a_number_joined_to_a_telephone_number_is_one_too():
    assert found("call 0800 138 1016 or\u00a00800 138 1018") == [
        ("phone", "0800 138 1016"),
        ("phone", "0800 138 1018"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("2021-05-13", "13.05.2021", "07/04/2024 03:40", "2024-08-06 05:46:00", "01. 11. 2023"),
        *("1999–2017", "2019-2021, 2023", "05.11.23 - 18:46", "3.141592653589793"),
        *("0.0735620250925422", "1,234,567,890", "1.234.567.890", "48.8566, 2.3522"),
        *("53.369889 -6.257530", "ISBN 978-3-7828-1534-5", "ISBN 0-521-53927-7"),
        *("ISSN 2197-7437", "doi:10.1136/bmjopen-2016-011092", "arXiv:2603.05352"),
        *("CVE-2021-44228", "order 4580532", "#12345678", "id 126-0352538-5526118"),
        *("ORCID 0009-0002-0156-9795", "Konto 103 79 00", "a22f0160133733", "27/026/35703"),
        *("0 1 2 3 4 5 6 7 8 9", "0 160133733", "01  012 0123", "(0.682)(0.607)"),
        *("100 200 300 400", "1024 x 576", "| 2020 | 2021 | 2022 |", "5 20 50 100"),
        *("x = (a)+4915112345678", "2.41+1.4577621521782999"),
        *("5f3a8812340987", "90210-1234", "10:20:30.123456", "$ 555-123-45"),
        *("CEP: 01310-100", "(11) 1234 5678", "١٩٩٩-٢٠٠٠", "۱۳۹۹/۰۵/۱۳", "๑๒/๐๕/๒๕๖๓"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", [None, "en", "de"])
def test_dates_fractions_and_numbers_of_things_are_no_telephone_numbers(text, language):
    assert found(f"Text {text} text", language) == []
    assert found(f"Text {text}\ntext", language) == []


@pytest.mark.parametrize(
    "spelled",
    ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "3782 822463 10005",
     "6011111111111117", "2223003122003222"],
)  # fmt: skip
def test_a_card_has_an_issuer_a_length_and_the_right_check_digit(spelled):
    assert found(f"paid with {spelled}, thanks") == [("card", spelled)]


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # Luhn
        "9999 9999 9999 9995",  # no issuer
        "41 11 11 11 11 11 11 11",  # cards are never printed like this
        "4111 1111-1111 1111",
        "item/4111111111111111",
        "a4111111111111111",
        "2000 2100 2204 2309 2405 2501",
        "id: 4111111111111111",
    ],
)
def test_other_long_numbers_are_no_cards(text):
    assert "card" not in [kind for kind, _ in found(text)]


def test_two_cards_in_a_row_are_two():
    text = "378282246310005 6011111111111117"
    assert found(text) == [("card", "378282246310005"), ("card", "6011111111111117")]


@pytest.mark.parametrize(
    "spelled",
    [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82 WEST 1234 5698 7654 32",
        "NO9386011117947",
    ],
)
def test_an_iban_has_its_countrys_length_and_the_right_check_digits(spelled):
    assert found(f"IBAN {spelled} BIC COBADEFF") == [("iban", spelled)]


@pytest.mark.parametrize("between", [" ", " IBAN ", " BIC COBADEFFXXX ", " DE00 3704 0044 "])
def test_an_iban_behind_another_is_found(between):
    spelled = ("DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "NO9386011117947")
    assert found(between.join(spelled)) == [("iban", each) for each in spelled]


@pytest.mark.parametrize(
    "text",
    [
        "DE88370400440532013000",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "xDE89370400440532013000",
    ],
)
def test_a_wrong_check_digit_length_or_country_is_no_iban(text):
    assert "iban" not in [kind for kind, _ in found(text)]


def test_only_the_kinds_that_are_asked_for_are_found():
    assert found("jo@host.de, (415) 766-4198", kinds=["phone"]) == [("phone", "(415) 766-4198")]


PIECES = st.sampled_from(
    [
        *(
            "jo@host.de",
            "+49 30 420248",
            "4111 1111 1111 1111",
            "DE89370400440532013000",
            "81.2.69.142",
            "2a00:1450::200e",
        ),
        *(
            "Tel. ",
            " or ",
            "(",
            "[at]",
            "\n",
            " ",
            "-",
            ".",
            "/",
            "@",
            "é",
            "电",
            "🙂",
            "2024-01-02",
            "x",
        ),
    ]
)


@given(st.lists(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join), max_size=5))
def test_a_text_is_read_the_same_alone_and_among_others(texts):
    chunk = next(iter(find_in_column(pa.chunked_array([pa.array(texts, pa.string())]))))
    for row, text in enumerate(texts):
        start = int(chunk.offsets[row])
        spans = [
            (span.kind, span.begin - start, span.end - start) for span in chunk.spans.get(row, [])
        ]
        assert spans == [tuple(span) for span in find(text)]
        assert all(before[2] <= after[1] for before, after in pairwise(spans))
        assert all(0 <= begin < end <= len(text.encode()) for _, begin, end in spans)


@pytest.mark.parametrize(
    "text", ["3.14 {}", "on 12.05.2024 {}", "No. 7 {}", "2 {} 3", "total 1,234.50 {} paid"]
)
def test_a_card_is_found_behind_another_number(text):
    card = "4111 1111 1111 1111"
    assert ("card", card) in found(text.format(card))


def test_a_row_of_numbers_of_four_digits_holds_no_card():
    assert found("2001 4111 1111 1111 1111") == []
    assert found("4111 1111 1111 1111 2001") == []
