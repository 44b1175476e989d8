"""National numbers: each kind is found with its word, and what only looks like one is not.

The numbers are the registers' own examples, or made up with the right check digit.
"""

import re

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import build_settings
from corpusmill.stages.redact.find import Kind, find
from corpusmill.stages.redact.national_kinds import NATIONAL_IDS
from corpusmill.stages.redact.stage import Redact
from hypothesis import given, settings
from hypothesis import strategies as st

SIGNS = st.characters(codec="ascii")
NATIONAL: tuple[Kind, ...] = ("national_id",)

ANNOUNCED = [
    ("us_ssn", "SSN 536901399", "536901399"),
    ("us_ssn", "Social Security number: 536 90 1399", "536 90 1399"),
    ("us_itin", "his ITIN is 912-90-3456.", "912-90-3456"),
    ("gb_nino", "NI number QQ123456C is wrong, but AB123456C", "AB123456C"),
    ("gb_nhs", "NHS number 943 476 5919", "943 476 5919"),
    ("ca_sin", "SIN: 046 454 286", "046 454 286"),
    ("fr_nir", "numéro de sécurité sociale 295109912611193", "295109912611193"),
    ("es_dni", "con DNI 54362315K", "54362315K"),
    ("es_dni", "NIE X-2482300-W", "X-2482300-W"),
    ("it_codice_fiscale", "Codice fiscale: RCCMNL83S18D969H", "RCCMNL83S18D969H"),
    ("de_steuer_id", "Steuer-ID 36 574 261 809", "36 574 261 809"),
    ("nl_bsn", "BSN: 1112.22.333", "1112.22.333"),
    ("be_nrn", "rijksregisternummer 85073003328", "85073003328"),
    ("pl_pesel", "PESEL 44051401359", "44051401359"),
    ("br_cpf", "CPF 39053344705", "39053344705"),
    ("br_cnpj", "CNPJ: 16727230000197", "16727230000197"),
    ("br_cnpj", "CNPJ: 15945021363110", "15945021363110"),
    ("in_aadhaar", "Aadhaar no. 2341 2341 2346", "2341 2341 2346"),
    ("cn_resident", "身份证号：11010519491231002X", "11010519491231002X"),
    ("kr_rrn", "주민등록번호 971013-9019902", "971013-9019902"),
    ("kr_rrn_new", "주민등록번호 211231-3123456", "211231-3123456"),
    ("jp_my_number", "マイナンバー 6214 9832 0257", "6214 9832 0257"),
    ("au_tfn", "TFN 123 456 782", "123 456 782"),
    ("au_medicare", "Medicare card 2123 45670 1", "2123 45670 1"),
    ("se_personnummer", "personnummer 19811228-9874", "19811228-9874"),
    ("fi_hetu", "hetu 131052-308T", "131052-308T"),
    ("dk_cpr", "CPR-nr. 211062-5629", "211062-5629"),
    ("no_fnr", "fødselsnummer 15108695088", "15108695088"),
    ("ch_ahv", "AHV-Nummer 7569217076985", "7569217076985"),
    ("tr_tckn", "T.C. Kimlik No: 17291716060", "17291716060"),
    ("za_id", "ID number 7503305044089", "7503305044089"),
    ("ie_pps", "PPS number 6433435F", "6433435F"),
    ("pt_nif", "NIF 501 964 843", "501 964 843"),
    ("at_svnr", "SV-Nummer 1237 010180", "1237 010180"),
    ("mx_curp", "CURP BOXW310820HNERXN09", "BOXW310820HNERXN09"),
    ("cl_rut", "RUT 12.531.909-2", "12.531.909-2"),
    ("ro_cnp", "CNP 1630615123457", "1630615123457"),
    ("bg_egn", "ЕГН 7523169263", "7523169263"),
    ("cz_rodne_cislo", "rodné číslo 7103192745", "7103192745"),
    ("ee_lt_code", "isikukood 36805280109", "36805280109"),
    ("hr_oib", "OIB 33392005961", "33392005961"),
    ("gr_amka", "ΑΜΚΑ 01013099997", "01013099997"),
    ("ru_snils", "СНИЛС 11223344595", "11223344595"),
    ("ru_inn", "ИНН 500100732259", "500100732259"),
    ("il_id", "Teudat Zehut 39337423", None),
    ("il_id", "Teudat Zehut 039337423", "039337423"),
    ("sg_nric", "NRIC S7343684B", "S7343684B"),
    ("hk_id", "HKID A123456(3)", "A123456(3)"),
    ("tw_id", "身分證 A123456789", "A123456789"),
    ("th_id", "บัตรประชาชน 1101700230708", "1101700230708"),
]
ALONE = [
    ("paid by 536-90-1399, she", "536-90-1399"),
    ("a part of it: he, 536-90-1399", "536-90-1399"),
    ("AB 12 34 56 C", "AB 12 34 56 C"),
    ("born 2 95 10 99 126 111 93", "2 95 10 99 126 111 93"),
    ("RCCMNL83S18D969H", "RCCMNL83S18D969H"),
    ("85.07.30-033.28", "85.07.30-033.28"),
    ("390.533.447-05", "390.533.447-05"),
    ("16.727.230/0001-97", "16.727.230/0001-97"),
    ("11010519491231002X", "11010519491231002X"),
    ("971013-9019902", "971013-9019902"),
    ("756.9217.0769.85", "756.9217.0769.85"),
    ("131052A308T", "131052A308T"),
    ("BOXW310820HNERXN09", "BOXW310820HNERXN09"),
    ("112-233-445 95", "112-233-445 95"),
    ("A123456(3)", "A123456(3)"),
    ("1-1017-00230-70-8", "1-1017-00230-70-8"),
]
NONE = [
    "order 536901399 was sent",  # bare digits without a word
    "046 454 286 people",
    "SSN 000-12-3456 or 666-12-3456 or 123-00-4567",  # never given
    "NHS number 943 476 5918",
    "SIN: 046 454 287",
    "DNI 54362315A",
    "Steuer-ID 36 574 261 890",
    "CPF 111.111.111-11",
    "CPF 390.533.447-06",
    "11010519491331002X",  # no such month
    "RCCMNL83S18D969X",
    "756.9217.0769.84",
    "part 536-90-1399-77",
    "536.90.1399 and 536 90 1399",
    "part 536-90-1399",
    "Part No. 536-90-1399",
    "patent number 536-90-1399",
    "Order #: 536-90-1399",
    "the model 536-90-1399",
    "no. 536-90-1399",
    "Part no. AB 12 34 56 C",
    "https://host.org/536-90-1399",
    "id=536-90-1399",
    "2020-12-3456",
    "build 2024 1130 0917",
    "ISBN 978-3-7828-1534-5",
    "row 17, 44051401359, 15108695088, 17291716060, 36805280109",
    "sha 4158675309ABCDEF and B1234567 and REV123456",
    "211062-5629",
]


def found(text: str, language: str | None = None) -> list[str]:
    data = text.encode()
    return [data[span.begin : span.end].decode() for span in find(text, NATIONAL, language)]


LABELS = [
    ("SIN", "046454286"),
    ("SSN", "536901399"),
    ("SSN", "536-90-1399"),
    ("BSN", "111222333"),
    ("CPF", "39053344705"),
    ("NHS", "9434765919"),
    ("PESEL", "44051401359"),
    ("NIF", "501964843"),
    ("OIB", "33392005961"),
    ("ИНН", "500100732259"),
    ("身份证", "11010519491231002X"),
]
JOINED = [
    *(
        "{}={}",
        "{}({})",
        "{}#{}",
        "{}:{}",
        "{}/{}",
        "{}-{}",
        "{}[{}]",
        '"{}":"{}"',
        "<{0}>{1}</{0}>",
    ),
    *("user_{}={}", "{}_no: {}", "{}\u00a0{}", "{}：{}", "{}（{}）", "{}\n{}"),
]


@pytest.mark.parametrize(("label", "number"), LABELS)
def test_a_label_may_stand_beside_its_number_in_any_way(label, number):
    for joined in JOINED:
        assert found(joined.format(label, number)) == [number], joined


@pytest.mark.parametrize(("label", "number"), LABELS[:9])
def test_a_label_may_be_glued_to_its_number(label, number):
    assert found(f"His {label}{number} is here") == [number]
    assert found(f"His X{label}{number} is here") == []


WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


@pytest.mark.parametrize(("name", "text", "number"), ANNOUNCED)
def test_digits_and_separators_may_have_other_forms(name, text, number):
    if number:
        for change in (
            lambda each: each.translate(WIDE),
            lambda each: each.replace("-", "\u2011"),
            lambda each: each.replace("-", "\u2013"),
            lambda each: each.replace(" ", "\u202f"),
        ):
            other = change(number)
            assert found(f"é {text.replace(number, other)} ü") == [other]


@pytest.mark.parametrize(
    "text",
    [
        "the sin 046454286 of man",
        "1939–1945–1990",
        "１２３４５６７８９ people",
        "5\u202f000\u202f000",
    ],
)
def test_other_forms_alone_are_no_number(text):
    assert found(text) == []


@pytest.mark.parametrize(("name", "text", "number"), ANNOUNCED)
def test_a_number_behind_its_word_is_found_whole(name, text, number):
    assert found(text) == ([number] if number else [])
    if number:
        kind = NATIONAL_IDS[name]
        assert kind.pattern.fullmatch(number)
        assert kind.words.search(text)


def test_every_kind_has_a_case():
    assert {name for name, *_ in ANNOUNCED} == set(NATIONAL_IDS)


@pytest.mark.parametrize("name", NATIONAL_IDS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_rule_answers_for_whatever_its_pattern_allows(name, data):
    kind = NATIONAL_IDS[name]
    spelled = data.draw(st.from_regex(kind.pattern, fullmatch=True, alphabet=SIGNS))
    number = spelled if name == "fi_hetu" else re.sub(r"[ .()/+-]", "", spelled)
    assert kind.holds(number) in (True, False)


@pytest.mark.parametrize(("text", "number"), ALONE)
def test_a_number_that_nothing_else_looks_like_needs_no_word(text, number):
    assert found(f"Text {text} text.") == [number]


@pytest.mark.parametrize("text", NONE)
def test_what_has_no_word_no_check_or_no_place_of_its_own_is_none(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "language"),
    [("811228-9874", "sv"), ("211062-5629", "da"), ("15108695088", "no"), ("710319/2745", "cs")],
)
def test_a_text_of_the_country_needs_no_word_for_a_number_as_it_is_printed(text, language):
    assert found(f"({text})", language) == [text]
    assert found(f"({text})", "en") == []


def test_a_word_may_stand_in_the_line_above_or_behind():
    assert found("SSN:\n536901399") == ["536901399"]
    assert found("536901399 (SSN)") == ["536901399"]
    assert found("SSNs: 536-90-1399, 536 90 1398, 536901397") == [
        "536-90-1399",
        "536 90 1398",
        "536901397",
    ]


def test_kinds_can_be_switched_off_by_name():
    names = Redact(national_ids=("pl_pesel",)).national_ids
    assert find("SSN 536-90-1399", NATIONAL, None, names) == []
    with pytest.raises(RecipeError, match="national_ids"):
        build_settings(Redact, {"national_ids": ["pl_pesl"]}, "redact")


def test_a_telephone_number_or_a_card_stays_what_it_is():
    kinds = [span.kind for span in find("call 617-253-1000 or pay with 4111 1111 1111 1111")]
    assert kinds == ["phone", "card"]
