"""Which dollars are formulas, and which are money, code or prose."""

from time import process_time

import pytest
from corpusmill.stages.render.blocks import blocks
from corpusmill.stages.render.formulas import spans
from hypothesis import given
from hypothesis import strategies as st


def found(text):
    return [text[span.start : span.end] for span in spans(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Let $x$ be.", ["$x$"]),
        ("the $n$th of $k$-means, ($a$, $b$)", ["$n$", "$k$", "$a$", "$b$"]),
        ("costs $5. Let $x$ be", ["$x$"]),
        (r"\(x^2\) and \[y = 1\]", [r"\(x^2\)", r"\[y = 1\]"]),
        ("so $$a = b$$.", ["$$a = b$$"]),
        ("$$x$$ and $$AB = 2$$, $$80$$", ["$$x$$", "$$AB = 2$$", "$$80$$"]),
        ("it costs $$ - then $$x = 1$$ holds", ["$$x = 1$$"]),
        (r"\(x\), \(2n\), \(x_i\), \(f(x)\)", [r"\(x\)", r"\(2n\)", r"\(x_i\)", r"\(f(x)\)"]),
        (r"\(-1\), \([0, 1]\), \(v_{max}\)", [r"\(-1\)", r"\([0, 1]\)", r"\(v_{max}\)"]),
        (r"\(\|x\|\) and \[a \leq b\]", [r"\(\|x\|\)", r"\[a \leq b\]"]),
        (r"\[x^2\], \[a_{i} \\ 2\], \[a + b\]", [r"\[x^2\]", r"\[a_{i} \\ 2\]", r"\[a + b\]"]),
        (r"$\text{if you like } x$", [r"$\text{if you like } x$"]),
        (r"$a \$ b$", [r"$a \$ b$"]),
        (r"a \\ $x$", ["$x$"]),
        ("Пусть $h$‑й, 设 $x$为", ["$h$", "$x$"]),
        (r"\begin{align*} a &= b \end{align*}", [r"\begin{align*} a &= b \end{align*}"]),
    ],
)
def test_formulas(text, expected):
    assert found(text) == expected


# Real ones stand in web pages, word problems and source files.
@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10.",
        "from $5-$10, or $5/$10, US$5 or A$6",
        "between <$10 K–>$100 K and $30 K–$40 K",
        "You have 32$ for groceries, 3$ for bread, 2$ for candy, so 32-3=29$.",
        "He pays $6000 / 4 =$ 1500, or $1.5/2=$.75, or $1-$.44",
        "$20 x 5 =$ 100",
        "$5 million (or $6 million in A$)",
        "$HOME/bin:$PATH and $(cat file)$ and $(job-name)-$(index)",
        'pattern="^a$",pattern="$b"',
        'set "$year=!$"',
        "$Id$ $Revision: 1.3 $ $Format:%H$",
        "`echo $x` costs `$y`",
        "the $AAPL and $MSFT shares ($AAPL,$MSFT)",
        r"as Markdown escapes it: \[1\], \[citation needed\]",
        "a lone $ and another $ sign",
        r"as it does: \(optional\), \(2019\), \(file_name\), \(see below\)",
        r"and \[a_b\], \[file_name.txt\], \[^1\], \[C++\], \[\*\], \[x\]",
        r"s/\(foo\)/\1/, s/\(a\)/b/, grep '\(ab\|cd\)', grep \(a\|b\)",
        r'sed -n "s/.*\[\(x.*\)\].*/\1/p" and \([^=]*\)=\(.*\)',
        "price range is $$ - $$$, Italian, Pizza",
        "$$-$$$, $$ or $$$, or $$ or $$, tickets ($$) and ($$)",
        "kill $$; echo $$, pid=$$; file=a_1.$$",
        "$$$$$$ $$$$$$ and a$$x = 1$$b and $$$x = 1$$$",
        r"\$5 and \$6",
        "$the price of the thing$",
        "$10}}{$",
        "",
    ],
)
def test_no_formulas(text):
    assert found(text) == []


def test_what_an_equation_environment_holds():
    text = r"\begin{equation*} x = 1 \end{equation*}"
    (span,) = spans(text, 0, len(text))
    assert (span.source.strip(), span.display) == ("x = 1", True)


@given(st.text(st.sampled_from("$$$\\()[]{}ab 1.`\n"), max_size=80))
def test_spans_stand_in_order_and_have_marks(text):
    at = 0
    for span in spans(text, 0, len(text)):
        assert at <= span.start < span.end
        assert span.source in text[span.start : span.end]
        assert text[span.start] in "$\\"
        at = span.end


def seconds(text):
    """The least of three, of the processor."""
    times = []
    for _ in range(3):
        blocks.cache_clear()
        begin = process_time()
        blocks(text, formulas=True)
        times.append(process_time() - begin)
    return min(times)


PARTS = ["$", "$$a", "\\[", "\\(", "`", "\\begin{align}", "$a ", "$$x$$\n", "$x$ ", "$$x$$ a\n"]
PARTS += ["\\[x=1\\]\n", "$$ - $$ ", "a\n"]


@pytest.mark.parametrize("part", PARTS)
def test_many_marks_take_linear_time(part):
    few, many = seconds(part * 2_000), seconds(part * 8_000)
    assert many < 7 * few + 0.05  # 16 times were quadratic
