"""A small real run for tests of the report: a crawl of three sites through three stages."""

import json

from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner

RULE = {"name": "few_words", "statistic": "words", "comparison": "<", "threshold": 20}


def texts():
    """Ten documents: three are short, two are equal, one holds markup."""
    yield "A page about <script>alert('markup')</script> & more."
    for number in range(1, 9):
        yield f"{number} some words about the river and its towns " * number
    yield "8 some words about the river and its towns " * 8


def make_run(folder):
    """Run extract, filter and dedup below `folder`. Returns the output folder."""
    rows = [
        {"text": text, "url": f"https://www.site{min(number, 8) % 3}.example/{number}"}
        for number, text in enumerate(texts())
    ]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    steps = (
        Step("extract", "extract", (), {"min_text_chars": 0}),
        Step("filter", "filter", (), {"families": [], "rules": [RULE]}),
        Step("dedup", "dedup"),
    )
    run_recipe(
        Recipe("r", (str(folder / "in.jsonl"),), steps),
        str(folder / "out"),
        InlineRunner(),
        lambda *_: None,
    )
    return str(folder / "out")
