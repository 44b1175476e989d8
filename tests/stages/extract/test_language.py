"""Language identification: the shipped model on plain sentences, and the cleaning of its input."""

import hashlib
from pathlib import Path

import pytest
from corpusmill.manifests.errors import ModelError
from corpusmill.stages.extract.language import (
    SAMPLE_CHARACTERS,
    hygienic,
    identify,
    load_model,
    model_digest,
    shipped_model,
)

SENTENCES = {
    "en": "The committee will meet again next week to decide how the money should be spent.",
    "de": "Der Ausschuss trifft sich nächste Woche wieder, um über die Verwendung der Gelder zu "
    "entscheiden.",
    "fr": "Le comité se réunira de nouveau la semaine prochaine pour décider de l'emploi des "
    "fonds.",
    "es": "El comité volverá a reunirse la próxima semana para decidir cómo se gastará el dinero.",
    "ru": "На следующей неделе комитет снова соберётся, чтобы решить, как потратить деньги.",
    "zh": "委员会下周将再次开会，决定如何使用这笔钱。",
    "ja": "委員会は来週もう一度集まり、お金の使い方を決めます。",
    "ar": "ستجتمع اللجنة مرة أخرى الأسبوع المقبل لتقرر كيفية إنفاق المال.",
    "pl": "Komisja spotka się ponownie w przyszłym tygodniu, aby zdecydować, jak wydać pieniądze.",
}


def test_plain_sentences_are_identified_in_one_batch():
    found = identify(list(SENTENCES.values()))
    assert [language.code for language in found] == list(SENTENCES)
    assert all(0.5 < language.score <= 1.0 for language in found)


SQL = """```sql
SELECT name, count(*) AS number FROM people WHERE city = 'Paris' GROUP BY name ORDER BY number;
```
"""


@pytest.mark.parametrize("code", SENTENCES)
def test_code_does_not_decide_beside_prose(code):
    text = f"{SENTENCES[code] * 3}\n\n{SQL * 9}\n{SENTENCES[code] * 2}\n\n{SQL * 20}"
    (found,) = identify([text])
    assert found.code == code
    assert found.score > 0.5
    assert hygienic(SQL) == hygienic(f"{SQL}\n  \n")
    assert "SELECT" in hygienic(f"Exercice 1\n\n{SQL}")


CAPITALS = SENTENCES | {
    "el": "Η επιτροπή θα συνεδριάσει ξανά την επόμενη εβδομάδα για να αποφασίσει για τα χρήματα.",
    "bg": "Комисията ще се събере отново следващата седмица, за да реши за парите.",
    "hy": "Հանձնաժողովը կհավաքվի հաջորդ շաբաթ՝ որոշելու, թե ինչպես ծախսել գումարը։",
    "ka": "კომიტეტი მომავალ კვირას კვლავ შეიკრიბება, რათა გადაწყვიტოს თანხის ხარჯვა.",
    "tr": "Komite, paranın nasıl harcanacağına karar vermek için gelecek hafta yeniden toplanacak.",
    "vi": "Ủy ban sẽ họp lại vào tuần tới để quyết định cách chi tiêu số tiền này.",
    "cs": "Výbor se příští týden znovu sejde, aby rozhodl, jak peníze utratit.",
    "sv": "Utskottet träffas igen nästa vecka för att besluta hur pengarna ska användas.",
}


@pytest.mark.parametrize("code", CAPITALS)
def test_a_text_in_capitals_is_identified_as_in_small_letters(code):
    text = CAPITALS[code]
    capitals = text.upper() if code != "tr" else text.replace("i", "İ").upper()
    most = text[:20] + capitals[20:]
    found = identify([text, capitals, most, "NASA 1998: " + capitals * 30])
    assert [language.code for language in found] == [code] * 4
    assert all(language.score > 0.5 for language in found)


@pytest.mark.parametrize(
    "text",
    [
        SENTENCES["en"],
        "The Committee Will Meet Again Next Week To Decide How The Money Should Be Spent",
        "BREAKING NEWS: The committee will meet again next week to decide about the money of NASA.",
        "i said THE END of it",
        "委員会 NASA は来週もう一度集まり iPhone を使います",
        "1998",
    ],
)
def test_a_text_in_small_letters_is_taken_as_it_stands(text):
    assert hygienic(text) == text


def test_no_texts_give_no_languages():
    assert identify([]) == []


@pytest.mark.parametrize("text", ["", " \n\t ", "\0", "12345 67890"])
def test_a_text_without_words_has_a_low_score(text):
    (found,) = identify([text])
    assert found.score < 0.3


def test_a_text_cannot_name_its_own_language():
    english, german = identify([SENTENCES["en"], SENTENCES["en"] + " __label__de" * 5])
    assert english.code == german.code == "en"
    assert "__label__" not in hygienic("a __label__de b")


def test_line_breaks_of_all_kinds_do_not_end_the_text():
    text = SENTENCES["fr"].replace(" ", "\n").replace("l'", "l\u2028'")
    assert hygienic(text) == " ".join(hygienic(text).split())
    assert identify([text])[0].code == "fr"


def test_only_the_beginning_of_a_long_text_is_looked_at():
    filler = (SENTENCES["en"] + " ") * (SAMPLE_CHARACTERS // len(SENTENCES["en"]) + 2)
    assert identify([filler]) == identify([filler + SENTENCES["de"] * 1000])


def test_the_shipped_model_is_the_one_that_its_notice_names():
    path = Path(shipped_model())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in (path.parent / "NOTICE").read_text(encoding="utf-8")
    assert model_digest() == digest


def test_the_model_is_loaded_once():
    assert load_model(shipped_model()) is load_model(shipped_model())


def test_a_missing_model_is_refused_with_the_mend(tmp_path):
    with pytest.raises(ModelError, match=r"does not exist; leave `language_model` empty"):
        identify(["text"], str(tmp_path / "gone.bin"))


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="is no fastText model"):
        identify(["text"], str(tmp_path / "model.bin"))
