"""Telephone numbers of many languages, and what only looks like one there."""

import pytest
from corpusmill.stages.redact.find import find


def found(text, language=None):
    data = text.encode()
    return [data[span.begin : span.end].decode() for span in find(text, ["phone"], language)]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        # citations, years
        ("n. (15) 2010-2015", "pt"),
        ("ver refs. (11) 2001-2010 e", "pt"),
        ("Art. (11) 2345-2020", "pt"),
        ("Art. (11) 2345-6789", "pt"),
        ("Lei (11) 2345 2020", "pt"),
        ("volume (21) 2345 6789", "pt"),
        ("vol. (03) 2010-2015", "en"),
        ("EAN 040 123 456", "sl"),
        ("št. 040 123 456", "sl"),
        ("Sl. glasnik, 011 123 4567", "sr"),
        ("Sl. glasnik RS, 011 123 4567", "sr"),
        ("br. 011 123 4567", "sr"),
        ("бр. 011 123 4567", "sr"),
        ("čl. 011 123 4567", "sr"),
        # words that end like one for a telephone
        ("آیفون ۱۲۵۰۰۰۰۰ تومان", "fa"),
        ("آیفون: ۱۲۵۴۳۰۰۰ تومان", "fa"),
        ("آی\u200cفون ۱۲۵۴۳۰۰۰ تومان", "fa"),
        ("میکروفون ۲۵۰۰۰۰۰ تومان", "fa"),
        ("माइक्रोफोन: 1234567", "hi"),
        ("স্মার্টফোন: 1234567", "bn"),
        ("माइक्रोफोन सामान: 1234567", "hi"),
        ("хотел: 1234567", "bg"),
        ("vidéophone: 1234567", "fr"),
        # prices and counts of devices
        ("سعر الجوال 1200000 دينار", "ar"),
        ("سعر الجوال 1234500 دينار", "ar"),
        ("گوشی موبایل 12.500.000 تومان", "fa"),
        ("گوشی موبایل ۱۲۵۴۳۰۰۰ تومان", "fa"),
        ("携帯 12000000 契約", "ja"),
        ("휴대폰 15000000대", "ko"),
        ("手机 1523400 部", "zh"),
        ("मोबाइल 1200000 यूनिट", "hi"),
        ("มือถือ 1500000 เครื่อง", "th"),
        ("Telepon 1500000 rupiah", "id"),
        ("điện thoại 1523400 chiếc", "vi"),
        ("Telefon 1500000 Kronen", "de"),
        ("Winnie the Puh 2023001", "fi"),
    ],
)
def test_citations_prices_and_counts_are_no_telephone_numbers(text, language):
    for known in (language, None):
        assert found(text, known) == []


@pytest.mark.parametrize(
    ("text", "spelled", "language"),
    [
        ("رقم الجوال: 0501234567", "0501234567", "ar"),
        ("الجوال 0501234567", "0501234567", "ar"),
        ("بالهاتف 0101234567", "0101234567", None),
        ("وبالهاتف 0101234567", "0101234567", "ar"),
        ("בטלפון 03-1234567", "03-1234567", None),
        ("הנייד: 050-1234567", "050-1234567", None),
        ("N 0344 811 0126", "0344 811 0126", "en"),
        ("telefon št. 040 123 456", "040 123 456", "sl"),
        ("ٹیلی فون 021 1234567", "021 1234567", "ur"),
        ("موبایل: ۸۸۷۷۶۶۵۵", "۸۸۷۷۶۶۵۵", "fa"),
        ("मोबाइल 98765 43210", "98765 43210", "hi"),
        ("মোবাইল ০১৭১২৩৪৫৬৭৮", "০১৭১২৩৪৫৬৭৮", None),
        ("มือถือ 081-234-5678", "081-234-5678", "th"),
        ("携帯 090-1234-5678", "090-1234-5678", "ja"),
        ("휴대폰 010-1234-5678", "010-1234-5678", "ko"),
        ("telepon: 5201580", "5201580", "id"),
        ("Puh. 040 123 4567", "040 123 4567", "fi"),
        ("тел. бр. 011 123 4567", "011 123 4567", "sr"),
        ("_Тел: 123-45-67", "123-45-67", "ru"),
        ("联系Tel: 87654321", "87654321", "zh"),
        ("(21) 3345-6789", "(21) 3345-6789", "pt"),
        ("(11) 9 8765-4321", "(11) 9 8765-4321", "pt"),
        ("Telefone (15) 2010-2015", "(15) 2010-2015", "pt"),
        ("Tel. 4000000", "4000000", None),
    ],
)
def test_a_telephone_number_beside_such_words_is_found(text, spelled, language):
    assert found(text, language) == [spelled]
