"""Markdown marks are removed. All else stays."""

import time

import pytest
from corpusmill.stages.synthesize.postfilters.markdown import without_markdown


@pytest.mark.parametrize(
    "text",
    [
        "a*b*c",
        "$a *b* c$ and $x_{i} _j_$",
        "\\(a *b* c\\), \\[d _e_ f\\], $$g *h*$$",
        "$$\na *b* c\n$$",
        "\\[\nE _1_ = 2\n\\]",
        "2 * 3 * 4",
        "2**3 and 4**5",
        "snake_case and other_name",
        "__init__ and __main__.py",
        "f(*args, **kwargs)",
        "pointer *p and *q",
        "*a*b",
        "text*",
        "**a",
        "~5 km, a~b",
        "x[0][1](2)",
        "[a](x)",
        "#include <stdio.h>",
        "C# is a language; #1 too",
        "- an item",
        "1. an item",
        "\\*not\\*",
        "a < b > c",
        "word **bold**word",
    ],
)
def test_what_only_looks_like_markdown_stays(text):
    assert without_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**bold** and *it* and ***both***", "bold and it and both"),
        ("**bold *inner* text**", "bold inner text"),
        ("**bold *inner***", "bold inner"),
        ("*it **b** x*", "it b x"),
        ("a $5 and *b* $6, or 5$ and *b* 6$", "a $5 and b $6, or 5$ and b 6$"),
        ("Title\n=====\n*text*", "Title\ntext"),
        ("_em_ and _em dash_.", "em and em dash."),
        ("__two words__", "two words"),
        ("**a*b**", "a*b"),
        ("~~gone~~", "gone"),
        ("*Homo sapiens*'s skull", "Homo sapiens's skull"),
        ("日本**太字**語", "日本太字語"),
        ("**Note:** read", "Note: read"),
        ("# Title", "Title"),
        ("### Title ###", "Title"),
        ("> quoted\n>> twice", "quoted\ntwice"),
        ("* item *one*", "- item one"),
        ("[the anchor](https://e.org/a_(b) 'title') x", "the anchor x"),
        ("see [the docs](page.html).", "see the docs."),
        ("![a map](map.png)", "a map"),
        ("<https://e.org/a>", "https://e.org/a"),
        ("call `a_b_c()` or ``x `y` ``", "call a_b_c() or x `y`"),
        ("above\n---\nbelow\n***", "above\nbelow"),
    ],
)
def test_marks_go_and_words_stay(text, plain):
    assert without_markdown(text) == plain


def test_code_keeps_every_character_but_its_fences():
    assert (
        without_markdown("Run:\n```python\n# a *b* `c`\n> x_1_\n```\n*done*")
        == "Run:\n# a *b* `c`\n> x_1_\ndone"
    )


def test_an_unclosed_fence_loses_nothing():
    assert without_markdown("```\n*a*") == "*a*"


@pytest.mark.parametrize(
    "piece", ["*", "*a ", "**a*b ", "_a", "[a", "[a](", "`a", "``a`", "- ", "<http:", "> "]
)
def test_hostile_repetition_takes_linear_time(piece):
    started = time.perf_counter()
    without_markdown(piece * 3000)
    assert time.perf_counter() - started < 1
