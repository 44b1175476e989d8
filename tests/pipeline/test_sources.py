"""`recipes/sources.yaml`: light cleaning keeps what each source is made of, and drops its dregs."""

import base64

import pyarrow as pa
import pytest
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.pipeline.recipe import build_stage, load_recipe

CODE = """import sys


def area(width: float, height: float) -> float:
    if width < 0 or height < 0:
        raise ValueError("no negative sides")
    return width * height


if __name__ == "__main__":
    print(area(float(sys.argv[1]), float(sys.argv[2])))
"""
LATEX = r"""\begin{lemma}\label{lemma-flat} Let $f : X \to Y$ be a morphism. Then $f$ is flat if
$\mathcal{O}_{Y, f(x)} \to \mathcal{O}_{X, x}$ is flat for all $x \in X$. \end{lemma}
\begin{proof} $$\sum_{i=0}^{n} a_i x^i = 0, \quad a_i \in \{0, 1\}.$$ \end{proof}"""
ABSTRACT = (
    "We present a corpus of ferry timetables from nine harbours, with times of arrival and causes "
    "of delay. A baseline predicts delays with an error of four minutes. We publish the corpus "
    "and the program, so that others can compare their own predictions with ours."
)
CHAPTER = (
    "It was past noon when the boat came round the point, and nobody on the quay had waited for "
    "it. The master stood in the bow with his hat in his hand, and looked as a man looks who has "
    "come home too late. He had left in March with eleven men, and came back in October with "
    "seven. The women counted them from the wall, as they had counted them when they went, and "
    "three of them turned and walked up the lane before the rope was thrown. Nobody called after "
    "them. The harbour master, who was a kind man, took the rope himself, and made it fast."
)
NUMBERS = "\n".join(f"{row} {row * 17.25} {row * 3.75} {row / 7:.4f}" for row in range(200))
ENCODED = "data = '" + base64.b64encode(bytes(range(256)) * 8).decode() + "'\n" + "x = data\n" * 9


@pytest.fixture(scope="module")
def steps():
    recipe = load_recipe("package:recipes/sources.yaml")
    return {step.name: build_stage(step, lambda name: name) for step in recipe.steps}


def reason_of(stage, text):
    table = pa.Table.from_pylist([{"id": "a", "text": text, "language": "en"}], schema=DOCUMENT)
    return (stage.apply(table).excluded["reason"].to_pylist() or [None])[0]


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("code", CODE),
        ("math", LATEX),
        ("academic", ABSTRACT),
        ("books", CHAPTER),
        ("qa", "What is 7 * 8? Show the steps.\n\nAnswer: 7 * 8 = 56"),
    ],
)
def test_a_source_keeps_what_it_is_made_of(steps, step, text):
    assert reason_of(steps[step], text) is None


@pytest.mark.parametrize(
    ("step", "text", "reason"),
    [
        ("code", "import a", "recipe.few_words"),
        ("code", ENCODED, "recipe.long_word"),
        ("code", f"TABLE = [\n{NUMBERS}\n]", "recipe.many_digits"),
        ("math", r"\section{Introduction}", "recipe.few_words"),
        ("academic", "Withdrawn.", "recipe.few_words"),
        ("books", f"Tables of values for the reader of this book\n{NUMBERS}", "recipe.many_digits"),
        ("qa", "Why?", "recipe.few_words"),
        ("qa", "User: tell me more about it all, please. " * 60, "recipe.repeats"),
    ],
)
def test_it_drops_the_dregs(steps, step, text, reason):
    assert reason_of(steps[step], text) == reason
