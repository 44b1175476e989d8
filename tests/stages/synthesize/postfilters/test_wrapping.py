"""What models put around their answers is cut, and the text's own words stay."""

import pytest
from corpusmill.stages.synthesize.postfilters import Context, Rejection
from corpusmill.stages.synthesize.postfilters.refusals import refusal
from corpusmill.stages.synthesize.postfilters.wrapping import chatter, prompt_copy

PROSE = "The Danube rises in the Black Forest and flows through ten countries."


def context(segment: str = "The river rises in the hills.", instruction: str = "") -> Context:
    return Context(segment, 10, "", 0, instruction)


@pytest.mark.parametrize(
    "opening",
    [
        "Here is the rewritten text:",
        "Sure! Here's a rephrased version of the passage:",
        "Certainly. Here are the questions and answers based on the text:",
        "Of course! Below is the table:",
        "Sure!",
        "**Here is the condensed text:**",
        "Okay, here is a summary in my own words:",
        "Natürlich! Hier ist die Zusammenfassung:",
        "Bien sûr, voici le texte réécrit :",
        "¡Claro! Aquí tienes el texto:".lstrip("¡"),
        "当然！以下是改写后的版本：",
        "Конечно! Вот переписанный текст:",
        "Rewritten text:",
        "**The summarised version:**",
    ],
)
def test_an_opening_courtesy_is_cut(opening):
    assert chatter(f"{opening}\n\n{PROSE}", context()) == PROSE


@pytest.mark.parametrize(
    "closing",
    [
        "I hope this helps!",
        "Let me know if you need any changes.",
        "Please let me know if you would like further adjustments!",
        "Would you like me to continue?",
        "Note: This rewritten version maintains the facts of the original.",
        "This version preserves all key information while improving readability.",
        "(End of the text.)",
        "If you have any more questions, feel free to ask.",
        "*Word count: 87*",
        "Ich hoffe, das hilft!",
        "N'hésitez pas à me demander d'autres textes.",
        "希望这对您有帮助！",
        "---\n\nI hope this is what you wanted. Feel free to ask for more!",
    ],
)
def test_a_closing_courtesy_is_cut(closing):
    assert chatter(f"{PROSE}\n\n{closing}", context()) == PROSE


@pytest.mark.parametrize(
    "text",
    [
        f"{PROSE}\nThis is the passage that Caesar wrote about: the Rhine.",
        f"Here are the three reasons why the dam broke: water, wind, age.\n{PROSE}",
        f"{PROSE}\nThe version of 1904 was lost.",
        "Sure signs of spring are seen in March.",
        "Great Expectations is a novel.",
        f"{PROSE}\nNote the height of the dam: 20 m.",
        f"{PROSE}\nIf you have a boat, the way takes two days.",
    ],
)
def test_text_that_looks_like_a_courtesy_stays(text):
    assert chatter(text, context()) == text


def test_a_courtesy_of_the_passage_itself_stays():
    letter = f"{PROSE}\n\nLet me know if you come to Ulm."
    assert (
        chatter(letter, context(segment=f"He wrote: let me  know if you come. {PROSE}")) == letter
    )
    assert chatter(letter, context()) == PROSE


def test_nothing_but_courtesies_is_empty():
    result = chatter("I hope this helps!", context())
    assert isinstance(result, Rejection)
    assert result.reason == "empty"


@pytest.mark.parametrize(
    "answer",
    [
        "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
        "Ich kann diesen Text leider nicht umschreiben.",
        "Je suis désolé, mais je ne peux pas réécrire ce texte.",
        "Lo siento, pero no puedo ayudar con eso.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Извините, но я не могу выполнить эту просьбу.",
        "抱歉，我无法改写这段文字。",
        "申し訳ありませんが、その依頼にはお応えできません。",
        "죄송합니다. 이 글은 다시 쓸 수 없습니다.".replace(". ", " "),
    ],
)
def test_a_refusal_in_another_language_is_dropped(answer):
    result = refusal(answer, context())
    assert isinstance(result, Rejection)
    assert result.reason == "refusal"


def test_an_apology_that_the_passage_has_is_no_refusal():
    said = "I'm sorry, I can't come, wrote the queen."
    assert refusal(said, context(segment=f"In 1901 it was found: {said}")) == said


INSTRUCTION = "Write between four and eight questions about the passage, and answer each of them."


def test_a_copy_of_the_prompt_is_dropped_with_the_words():
    answer = f"{PROSE} I will write between four and eight questions about the passage now."
    result = prompt_copy(answer, context(instruction=INSTRUCTION))
    assert isinstance(result, Rejection)
    assert result.reason == "prompt_copy"
    assert "'write between four and eight questions about the'" in result.detail


def test_few_words_of_the_prompt_and_words_of_the_passage_are_no_copy():
    few = "He had to answer each of them, between four and eight questions."
    assert prompt_copy(few, context(instruction=INSTRUCTION)) == few
    quoted = f"The teacher said: {INSTRUCTION}"
    assert prompt_copy(quoted, context(quoted, INSTRUCTION)) == quoted
