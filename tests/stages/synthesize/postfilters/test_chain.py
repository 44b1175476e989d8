"""What post-filters keep of a model's answer, tested on bad answers that models give."""

import dataclasses

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.prompts import loader
from corpusmill.stages.synthesize import postfilters
from corpusmill.stages.synthesize.postfilters import Context, Rejection, clean
from corpusmill.stages.synthesize.postfilters.degenerate import repetition
from corpusmill.stages.synthesize.postfilters.forms import question_answer_pairs
from corpusmill.stages.synthesize.postfilters.refusals import refusal
from corpusmill.stages.synthesize.postfilters.wrapping import outer_quotes

# It knows all that the answers say, because these tests are about their form.
PASSAGE = (
    "The river Danube rises in the Black Forest in Germany, passes 10 countries on 2,850 km and "
    "reaches the sea. Ulm lies on it, Velen on the Aa. Of the numbers 0, 1, 2 and 3, boats carry 3 "
    "sacks of 20 kg, 60 kg in all, at –5 °C."
)


def context(**changes):
    return dataclasses.replace(
        Context(segment=PASSAGE, segment_tokens=45, lead_in="Rewritten text:", seed=7), **changes
    )


def cleaned(answer, name, **changes):
    prompt = loader.load(name)
    return clean(answer, prompt, context(lead_in=prompt.lead_in, **changes))


def reason(result):
    assert isinstance(result, Rejection), result
    return result.reason


PROSE = (
    "The Danube rises in the Black Forest and flows through ten countries before it reaches "
    "the sea."
)


@pytest.mark.parametrize("name", loader.shipped())
def test_every_shipped_prompt_names_only_filters_that_exist(name):
    postfilters.check(loader.load(name))


# What read_page gives goes on to `stages.ocr.documents`, whose tests have these answers, too.
@pytest.mark.parametrize("name", [name for name in loader.shipped() if name != "read_page"])
@pytest.mark.parametrize("answer", ["", " \n\t ", "```\n```", "**  **\n---"])
def test_an_answer_of_nothing_is_no_text(name, answer):
    assert reason(cleaned(answer, name)) in ("empty", "no_json", "no_table")


# Lead-in


@pytest.mark.parametrize(
    "answer",
    [
        f"Rewritten text:\n{PROSE}",
        f"rewritten  text: {PROSE}",
        f"**Rewritten text:**\n\n{PROSE}",
        f"## Rewritten text:\n{PROSE}",
        f'"Rewritten text:"\n{PROSE}',
        f'Rewritten text:\n"{PROSE}"',
        f"Rewritten text:\n\n**{PROSE}**",
    ],
)
def test_the_announced_line_is_cut_however_it_is_dressed(answer):
    assert cleaned(answer, "rephrase", segment=PROSE) == PROSE


@pytest.mark.parametrize(
    "answer", [PROSE, f"Here is the rewritten text:\n{PROSE}", f"Rewritten textile: {PROSE}"]
)
def test_an_answer_without_the_required_line_is_dropped_with_an_excerpt(answer):
    result = cleaned(answer, "rephrase")
    assert reason(result) == "lead_in_missing"
    assert result.detail == answer.replace("\n", " ")


def test_an_answer_of_only_the_line_is_empty():
    assert reason(cleaned("Rewritten text:\n", "rephrase")) == "empty"


def test_an_optional_line_may_be_missing():
    qa = "Question: What rises?\nAnswer: The river."
    assert cleaned(qa, "diverse_qa") == cleaned(f"Questions and answers:\n{qa}", "diverse_qa")


# Refusals


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, I can't help with that.",
        "I’m sorry, but I cannot rewrite this text because it is copyrighted.",
        "Sorry, I am unable to process this.",
        "I cannot provide a rewritten version of this passage.",
        "I can't directly access the web page.",
        "Unfortunately, the page you linked cannot be opened.",
        "As an AI language model, I do not have opinions.",
        "**I apologize, but I won't be able to do this.**",
        "Rewritten text:\nI'm sorry, but I can't assist with that request.",
        "There is no text provided.",
        "The passage is incomplete. Please provide the rest.",
        "You haven't provided a passage.",
    ],
)
def test_a_refusal_is_dropped_as_one(answer):
    assert reason(cleaned(answer, "rephrase")) == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry for your loss, wrote the queen in 1901, and the letter was kept.",
        "I cannot but admire the bridge, wrote the engineer.",
        "As an artist, she was unknown.",
        "Sorry is a board game of 1929.",
        "Unfortunately the dam broke in 1923.",
        "The text is divided into four parts.",
        "The passage is the oldest in the castle.",
    ],
)
def test_prose_that_begins_like_a_refusal_is_kept(text):
    assert refusal(text, context()) == text


# Quotes


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (f'"{PROSE}"', PROSE),
        (f"“{PROSE}”", PROSE),
        ("“He said “no” and left.”", "He said “no” and left."),
        ('"Yes," he said. "No."', '"Yes," he said. "No."'),
        ("“Yes,” he said. “No.”", "“Yes,” he said. “No.”"),
        ('"', '"'),
        ('5" and 6"', '5" and 6"'),
    ],
)
def test_only_quotes_around_the_whole_are_stripped(text, bare):
    assert outer_quotes(text, context()) == bare


# Repetition


@pytest.mark.parametrize(
    "loop", ["the river flows to the sea and ", "no ", "very long. ", "\n- The same fact again."]
)
def test_a_runaway_answer_is_dropped_with_its_share(loop):
    result = repetition(PROSE + " " + loop * 80, context())
    assert reason(result) == "repetition"
    assert isinstance(result, Rejection)
    assert "repeated=" in result.detail


def test_a_runaway_answer_without_spaces_is_dropped():
    assert reason(repetition("同じことを言います。" * 40, context())) == "repetition"


def test_prose_and_short_answers_are_let_pass():
    prompts = " ".join(loader.load(name).template for name in loader.shipped())
    assert repetition(prompts, context()) == prompts
    assert repetition("no no no no", context()) == "no no no no"


# Question-answer pairs

FOUR = "\n".join(f"Question: What is {number}?\nAnswer: It is {number}." for number in range(4))


def test_pairs_follow_their_passage():
    text = cleaned(FOUR, "diverse_qa")
    assert text.startswith(PASSAGE + "\n\nQuestion: ")
    body = text.removeprefix(PASSAGE + "\n\n").split("\n\n")
    assert {pair.replace("\n", " ") for pair in body} <= {
        f"Question: What is {number}? Answer: It is {number}." for number in range(4)
    }


def test_the_number_of_pairs_is_drawn_up_to_ten_per_150_tokens():
    def count(tokens, seed):
        return cleaned(FOUR, "diverse_qa", segment_tokens=tokens, seed=seed).count("Question:")

    assert {count(5, seed) for seed in range(20)} == {1}
    assert {count(45, seed) for seed in range(40)} == {1, 2, 3}
    assert {count(60, seed) for seed in range(60)} == {1, 2, 3, 4}


def test_the_seed_decides_which_pairs_and_in_what_order():
    variants = {cleaned(FOUR, "diverse_qa", seed=seed) for seed in range(20)}
    assert len(variants) > 5
    assert cleaned(FOUR, "diverse_qa", seed=3) == cleaned(FOUR, "diverse_qa", seed=3)


def test_pairs_are_read_however_they_are_dressed():
    answer = (
        "1. **Question:** Which is right?\nA) one\nB) two\n   **Answer:** B) two\n\n- "
        "question 2: Why?\n\nanswer: Because.\nSo it is."
    )
    from corpusmill.stages.synthesize.postfilters.markdown import without_markdown

    assert question_answer_pairs(without_markdown(answer)) == [
        ("Which is right?\nA) one\nB) two", "B) two"),
        ("Why?", "Because.\nSo it is."),
    ]


def test_questions_without_answers_and_questions_asked_before_are_left_out():
    answer = (
        "Question: One?\nQuestion: Two?\nAnswer: 2.\nQuestion: two?\nAnswer: again.\n"
        "Question: Three?\nAnswer:\nAnswer: loose.\nQuestion: Last?"
    )
    assert question_answer_pairs(answer) == [("Two?", "2.")]


@pytest.mark.parametrize(
    "answer", ["The passage is about rivers.", "Question: Why?", "Question: Why?\nAnswer:"]
)
def test_an_answer_without_one_whole_pair_is_dropped(answer):
    assert reason(cleaned(answer, "diverse_qa")) == "no_answered_question"


# Lists and labels


def test_facts_come_one_a_line_without_bullets_or_preamble():
    answer = (
        "Here are the facts:\n\n- The Danube is\n  2,850 km long.\n* It passes ten countries.\n1. "
        "It rises in Germany.\n"
        "- it rises in Germany.\n• –5 °C is cold.\n\nI hope this helps!"
    )
    assert cleaned(answer, "knowledge_list") == (
        "The Danube is 2,850 km long.\nIt passes ten countries.\nIt rises in Germany.\n–5 °C is "
        "cold."
    )


def test_a_list_without_bullets_is_dropped():
    assert reason(cleaned(PROSE, "knowledge_list")) == "no_bullets"


def test_passage_labels_go_and_passages_in_prose_stay():
    answer = "**Passage 1:**\nOne.\n\nPassage 2: Two.\nThe passage of the act: late."
    assert cleaned(answer, "extract_knowledge") == "One.\n\nTwo.\nThe passage of the act: late."


# Prompts that cannot be used


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ((("markdwn", {}),), "there is no 'markdwn'; did you mean 'markdown'"),
        (
            (("repetition", {"mots": 1}),),
            "repetition has no argument 'mots'; it has most, window, fewest",
        ),
        ((("chatter", {"x": 1}),), "it takes none"),
    ],
)
def test_a_prompt_with_an_unknown_filter_or_argument_is_refused(calls, message):
    with pytest.raises(RecipeError, match=message):
        postfilters.check(loader.load("rephrase").model_copy(update={"postfilters": calls}))


def test_a_lead_in_filter_without_a_lead_in_is_refused():
    with pytest.raises(RecipeError, match="needs a lead-in line"):
        postfilters.check(loader.load("rephrase").model_copy(update={"lead_in": ""}))


# Formats

TABLE = """| place | river |
|---|---|
| Ulm | Danube |
| Velen | Aa |

Both lie on a river. The Danube passes 10 countries from the Black Forest and reaches the sea."""


def test_a_table_stays_as_it_is():
    assert cleaned(TABLE, "table") == TABLE


@pytest.mark.parametrize(
    "answer",
    [
        PROSE,
        "| place | river |\n| Ulm | Danube |",
        "| place | river |\n|---|---|\n| Ulm | Danube |",
        TABLE.replace("| Ulm | Danube |", "| Ulm |"),
    ],
)
def test_an_answer_without_a_whole_table_is_dropped(answer):
    assert reason(cleaned(answer, "table")) == "no_table"


def test_frequent_questions_stay_in_order_without_the_passage():
    subjects = ("the Danube", "Germany", "the Black Forest", "boats with sacks")
    asked = [f"Question: What of {subject}?" for subject in subjects]
    answers = "\n".join(f"{question}\nAnswer: It passes the sea." for question in asked)
    text = cleaned(answers, "faq")
    assert [line for line in text.split("\n") if line.startswith("Question")] == asked
    assert PROSE not in text


SOLVED = "Problem: A boat carries 3 sacks of 20 kg. How much is that?\nSolution: 3 x 20 kg = 60 kg."


def test_a_problem_needs_its_solution():
    assert cleaned(SOLVED, "math_problems") == SOLVED
    for answer in (SOLVED.split("\n")[0], SOLVED.replace("Problem:", "Riddle:"), PROSE):
        assert reason(cleaned(answer, "math_problems")) == "label_missing"


def test_a_tutorial_has_steps():
    steps = f"You will know the river.\n\nStep 1: Find it. {PROSE}\n\nStep 2: Follow it."
    assert cleaned(f"**{steps[:24]}**{steps[24:]}", "tutorial") == steps
    assert reason(cleaned(PROSE, "tutorial")) == "label_missing"
