"""Loops, other languages, copies and answers to something else; and time that grows with length."""

import random
import time

import pytest
from corpusmill.prompts import loader
from corpusmill.stages.synthesize.postfilters import FILTERS, Context, Rejection, clean
from corpusmill.stages.synthesize.postfilters.degenerate import (
    closeness,
    language,
    repetition,
    shared_words,
)
from corpusmill.stages.synthesize.segments import _SENTENCE_END

PASSAGE = (
    "The Danube rises in the Black Forest and flows to the Black Sea. On its way it passes ten "
    "countries and four capitals. Ships have carried salt, wine and grain on it since Roman times. "
    "Floods were frequent until the great dams were built, and fishermen lived on their islands."
)
RETOLD = (
    "From its source in the Black Forest, the Danube crosses ten countries before it ends in the "
    "Black Sea. It has served as a road for salt, grain and wine since the Romans. Four capitals "
    "lie on its banks. Dams put an end to most floods, which fishermen on the islands had feared."
)
GERMAN = (
    "Die Donau entspringt im Schwarzwald und mündet in das Schwarze Meer. Auf ihrem Weg fließt sie "
    "durch zehn Länder und vier Hauptstädte. Schiffe beförderten auf ihr Salz, Wein und Getreide."
)
OTHER = (
    "A compiler reads the whole program before anything runs, while an interpreter works through "
    "every statement in turn. Many languages now use a mixture of both approaches, and translate "
    "only those functions that are called often enough to make the effort worth its time."
)


def context(segment: str = PASSAGE) -> Context:
    return Context(segment, 60, "", 0)


def reason(result) -> str:
    return result.reason.removeprefix("synthesize.") if isinstance(result, Rejection) else ""


def distinct(words: int) -> str:
    chance = random.Random(0)
    return " ".join("".join(chance.choices("abcdefgh", k=5)) for _ in range(words))


@pytest.mark.parametrize("unit", ["→", "meta", "the old dam ", "a b c d e f g h i j k l "])
def test_a_loop_at_the_end_of_a_long_answer_is_found(unit):
    good = distinct(1000)
    looped = good + " " + (unit + " ") * (1 + 120 // len(unit.split()))
    if unit == "→":  # a row of signs says nothing wrong by itself
        assert reason(repetition(looped, context())) == ""
    else:
        assert reason(repetition(looped, context())) == "repetition"
        assert reason(repetition(looped, context(looped))) == ""
    assert reason(repetition(good, context())) == ""


def test_a_few_repeats_are_no_loop():
    assert reason(repetition(distinct(100) + " no no no no " + distinct(50), context())) == ""


def test_another_language_is_dropped_with_both_scores():
    result = language(GERMAN, context())
    assert isinstance(result, Rejection)
    assert result.reason == "synthesize.other_language"
    assert result.detail.startswith("de (")
    assert "for en (" in result.detail


@pytest.mark.parametrize(("answer", "passage"), [(RETOLD, PASSAGE), (GERMAN, GERMAN)])
def test_the_same_language_passes(answer, passage):
    assert language(answer, context(passage)) == answer


def test_a_language_that_is_not_sure_passes():
    assert language("Ja, das ist so.", context()) == "Ja, das ist so."
    table = "km 12 14 a b c d e f g h " * 10
    assert language(table, context(GERMAN)) == table


def test_a_copy_is_too_close_only_if_the_prompt_says_so():
    assert reason(closeness(PASSAGE, context())) == ""
    assert reason(closeness(PASSAGE, context(), most=0.95)) == "too_close"
    assert reason(closeness(RETOLD, context(), most=0.3)) == ""


def test_an_answer_to_something_else_is_too_far():
    assert reason(closeness(OTHER, context(), least=0.3)) == "too_far"
    assert reason(closeness(RETOLD, context(), least=0.3)) == ""
    assert reason(closeness("Yes.", context(), least=0.3)) == ""


def test_closeness_works_in_scripts_without_spaces():
    passage = "长江全长六千三百公里流经十一个省份武汉长江大桥于一九五七年十月建成通车" * 2
    answer = "武汉长江大桥在一九五七年十月通车长江流经十一个省份总长约六千三百公里" * 2
    far = "编译器在运行之前读取整个程序而解释器则逐条执行语句许多语言现在混合使用两者" * 2
    assert reason(closeness(answer, context(passage), least=0.3)) == ""
    assert reason(closeness(far, context(passage), least=0.3)) == "too_far"


ARABIC = "الجِسْرُ القَدِيمُ فِي المَدِينَةِ بُنِيَ قَبْلَ مِئَةِ عَامٍ ثُمَّ رُمِّمَ "
BENGALI = "শহরের পুরোনো সেতুটি একশো বছর আগে তৈরি হয়েছিল এবং পরে মেরামত করা হয়েছে। "


@pytest.mark.parametrize("text", [ARABIC * 3, BENGALI * 3])
def test_vowels_that_are_marks_end_no_word(text):
    """Else no long word would be left, and every answer would be too far."""
    assert reason(closeness(text, context(text), least=0.9)) == ""
    assert shared_words(text, PASSAGE) in (0.0, None)


def test_a_passage_and_an_answer_of_two_scripts_are_compared_alike():
    japanese = "この橋は千九百年に建てられ川の両岸を結び毎日多くの人が渡っている"
    mixed = f"{japanese} pip install bridge with some more words of a shell session and its flags"
    assert (shared_words(japanese, mixed) or 0) > 0.9


def test_few_long_words_tell_nothing():
    assert shared_words("1, 2, 3: yes, it is so", PASSAGE) is None


# Time


def seconds(work) -> float:
    """The least of five runs."""
    taken = []
    for _ in range(5):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


NASTY = [
    ".", ". ", "\"", "* ", "*a", "_a ", "`", "`a ", "[", "[a](", "](", "|", "|-", "1 ", "1,", "A",
    "A ", "Aa ", "a\n", "- a\n", "Question: a\n", "<think>", "(", "$", "\\", "# ", "sure ",
    "note: ", "I'm sorry ", "。", "the ", "3.", "12 345 ", "a" * 50 + " ", "1'", "A of the ",
    "FLINK-1 ", "$a ", "$$", "\\(", "\\[a", "$ a$1",
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_no_filter_takes_more_than_linear_time(name):
    """Four times the text takes less than eight times as long, on what regular expressions fear."""
    arguments = {"begin": ["Zz"]} if name == "labels" else {}
    prompt = loader.load("rephrase").model_copy(update={"postfilters": ((name, arguments),)})

    def all_nasty(length: int) -> None:
        for unit in NASTY:
            text = unit * (length // len(unit))
            clean(text, prompt, Context(text, 10, "Rewritten text:", 0, "Rewrite this."))

    all_nasty(100)
    short = seconds(lambda: all_nasty(1_000))
    long = seconds(lambda: all_nasty(4_000))
    assert long < 8 * short + 0.02, (name, short, long)


def test_sentences_end_in_linear_time():
    """A row of dots was read anew from each of its dots."""

    def ends(length: int) -> None:
        for text in ("." * length, "?!" * (length // 2) + "x", '."' * (length // 2)):
            assert not list(_SENTENCE_END.finditer(text))

    short, long = seconds(lambda: ends(20_000)), seconds(lambda: ends(80_000))
    assert long < 8 * short + 0.01, (short, long)
