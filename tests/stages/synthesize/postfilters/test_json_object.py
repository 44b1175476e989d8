"""The answer to a rubric, and what is wrong with others."""

import json

import pytest
from corpusmill.prompts.properties import Property
from corpusmill.stages.synthesize.postfilters.json_object import json_object
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection

ASKED = {
    "why": Property(),
    "depth": Property(least=-1, most=3),
    "genre": Property(one_of=("prose", "verse")),
}
GOOD = {"why": "", "depth": -1, "genre": "verse"}


def outcome(answer: str):
    """The object that is left, or the reason."""
    result = json_object(answer, Context("", 0, "", 0, properties=ASKED))
    return result.reason if isinstance(result, Rejection) else json.loads(result)


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, indent=2),
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD)}\n```\n",
        json.dumps({**dict(reversed(GOOD.items())), "more": [1]}),
    ],
)
def test_an_object_with_every_property_is_kept_in_the_order_of_the_rubric(answer):
    assert list(outcome(answer).items()) == list(GOOD.items())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no_json"),
        ("null", "no_json"),
        ('"depth: 3"', "no_json"),
        ('{"why": "a', "no_json"),
        ("{" * 50_000, "no_json"),
        ('{"a":' * 20_000 + "1" + "}" * 20_000, "no_json"),
        (f"Grade: {json.dumps(GOOD)}", "text_around_json"),
        (f"{json.dumps(GOOD)}\nI hope this helps.", "text_around_json"),
        (f"Here:\n```json\n{json.dumps(GOOD)}\n```", "text_around_json"),
        ("{}", "property_missing"),
        (json.dumps({"why": "", "genre": "verse"}), "property_missing"),
        *(
            (json.dumps({**GOOD, **wrong}), "out_of_range")
            for wrong in (
                {"depth": 4},
                {"depth": -2},
                {"depth": 2.0},
                {"depth": "2"},
                {"depth": True},
                {"depth": None},
                {"depth": [2]},
                {"depth": 10**400},
                {"genre": "Verse"},
                {"genre": 1},
                {"genre": ["verse"]},
                {"why": 3},
                {"why": None},
                {"why": {"a": 1}},
            )
        ),
        (json.dumps(GOOD).replace("-1", "NaN"), "out_of_range"),
    ],
)
def test_any_other_answer_is_dropped_with_its_reason(answer, reason):
    assert outcome(answer) == reason


def test_half_a_surrogate_pair_is_no_letter():
    found = outcome(json.dumps(GOOD).replace('"why": ""', '"why": "a \\ud83d b"'))
    assert found["why"] == "a \ufffd b"
