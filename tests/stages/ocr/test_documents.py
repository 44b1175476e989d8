"""What an answer about an image becomes: a text, no text, or a reason."""

import pytest
from corpusmill.prompts import loader
from corpusmill.stages.engines.contract import Completion
from corpusmill.stages.ocr.documents import text_of
from corpusmill.stages.synthesize.finished_rows import usable
from corpusmill.stages.synthesize.postfilters import Rejection

LONG = " ".join(f"On day {day} they wrote {day * 7} letters to town {day}." for day in range(12))
READ_PAGE = loader.load("read_page")


def found(answer):
    """The text, or the reason of the rejection."""
    result = usable(Completion(answer, "stop"), READ_PAGE, ("",), 0, 0)
    result = result if isinstance(result, Rejection) else text_of(result)
    return result.reason if isinstance(result, Rejection) else result


@pytest.mark.parametrize("answer", ["", " \n\t ", "```\n```", "**  **\n---"])
def test_an_answer_of_nothing_is_no_text(answer):
    assert found(answer) == "empty"


@pytest.mark.parametrize(
    "answer",
    [
        "[no text]",
        "No text.",
        "```\n[no text]\n```",
        "The image is completely blank.",
        "This page does not contain any readable text. It shows a tree.",
        "There is no visible text in the image.",
    ],
)
def test_a_remark_that_there_is_no_text_is_an_empty_page(answer):
    assert found(answer) == ""


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot transcribe the text in this image.",
        "Sorry, I am unable to read this page.",
    ],
)
def test_a_refusal_is_no_text(answer):
    assert found(answer) == "refusal"


@pytest.mark.parametrize(
    "page",
    [
        f"The image is blank, said the printer, and threw the plate away. {LONG}",
        f"I can't find my shoes, he said. {LONG}",
        "No text is holy to him, the bishop wrote.",
        "Total 41.20",
        "I'm sorry, but I cannot come to the ball.\n\nYours, with no text or image",
        "Certainly!\n\nThat was all he said.",
        "Here is the text:\n1. Take flour",
        "The post comes at noon.\n\nPlease let me know when you are here.",
        "| Mill | Grain |\n|---|---|\n" + "| 0 | 0 |\n" * 60 + "| 0 | 1 |",
    ],
)
def test_what_a_page_says_stays(page):
    assert found(page) == page.strip()


@pytest.mark.parametrize(
    "line",
    [
        "Here is the text of the image:",
        "**Here's the transcription:**",
        "Sure! Here is the text from this page:",
        "Hier ist der Text auf dem Bild:",
        "以下是图片中的文字：",
    ],
)
def test_a_line_about_the_transcript_goes(line):
    assert found(f"{line}\n\nTake flour.") == "Take flour."


def test_a_fence_around_the_whole_goes_and_one_inside_stays():
    assert found("```markdown\n# Heading\n\nText.\n```") == "# Heading\n\nText."
    inside = "So:\n```\nprint(1)\n```\nDone."
    assert found(inside) == inside
    two = "```\na = 1\n```\nand then\n```\nb = 2\n```"
    assert found(two) == two
