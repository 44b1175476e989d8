"""MathML without TeX in one line."""

import pytest

from tests.stages.extract.pages import text_of

X, Y, N = "<mi>x</mi>", "<mi>y</mi>", "<mn>2</mn>"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (f"<mfrac>{X}<mrow>{Y}<mo>+</mo>{N}</mrow></mfrac>", r"$\frac{x}{y+2}$"),
        (f"<msup>{X}{N}</msup>", "$x^{2}$"),
        (f"<msup><mrow>{X}<mo>+</mo>{Y}</mrow>{N}</msup>", "${x+y}^{2}$"),
        (f"<msub>{X}{N}</msub>", "$x_{2}$"),
        (f"<msubsup>{X}<mi>i</mi>{N}</msubsup>", "$x_{i}^{2}$"),
        (f"<msqrt>{X}<mo>+</mo>{Y}</msqrt>", r"$\sqrt{x+y}$"),
        (f"<mroot>{X}<mn>3</mn></mroot>", "$(x)^{1/3}$"),
        ("<munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover>", "$∑_{i}^{n}$"),
        (
            f"<mtable><mtr><mtd>{X}</mtd><mtd>{Y}</mtd></mtr><mtr><mtd>{N}</mtd></mtr></mtable>",
            r"$\matrix{x & y \\ 2}$",
        ),
        (f"<msup><msqrt>{X}</msqrt>{N}</msup>", r"${\sqrt{x}}^{2}$"),
        (f"<msup><mi/>{N}</msup>", "$^{2}$"),
        (f"<mi>f</mi><mo>&#x2061;</mo><mfenced>{X}{Y}</mfenced>", "f (x,y)"),
        (f"{X}<mo>+</mo><mn>1</mn>", "x+1"),
        (f"{X}<mphantom>{Y}</mphantom>", "x"),
    ],
)
def test_what_stands_above_and_below_is_written_as_tex(html, text):
    assert text_of(f"<p>a <math>{html}</math> b") == f"a {text} b".replace("f (x", "f (x")


def test_a_formula_of_its_own_line():
    assert text_of(f"<p>a</p><math display=block><msup>{X}{N}</msup></math>") == "a\n\n$$x^{2}$$"


def test_tex_replaces_what_was_written():
    html = (
        f"<math><msup>{X}{N}</msup><annotation encoding='application/x-tex'>x^2</annotation></math>"
    )
    assert text_of(f"<p>a {html} b") == "a $x^2$ b"


def test_a_formula_that_only_its_image_shows_is_written_once():
    html = (
        '<span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: none;"><math '
        'alttext="x^{2}"><mi>x</mi></math></span><img '
        'class="mwe-math-fallback-image-inline" alt="x^{2}">'
    )
    assert text_of(f"<p>a {html} b") == "a $x^{2}$ b"


def test_the_mathml_of_mathjax_3_is_kept():
    html = (
        '<mjx-container class="MathJax" jax="CHTML"><mjx-math class="MJX-TEX" aria-hidden="true">'
        "<mjx-c></mjx-c></mjx-math><mjx-assistive-mml>"
        f"<math><msup>{X}{N}</msup></math></mjx-assistive-mml></mjx-container>"
    )
    assert text_of(f"<p>a {html} b") == "a $x^{2}$ b"
