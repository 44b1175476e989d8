"""Text above, below and over other text, in one line."""

import pytest

from tests.stages.extract.pages import text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("37.5 km<sup>2</sup>", "37.5 km^2"),
        ("10<sup>7</sup> m", "10^7 m"),
        ("10<sup>-3</sup> 10<sup>−3</sup>", "10^-3 10^−3"),
        ("2<sup>n+1</sup>", "2^(n+1)"),
        ("2<sup>2<sup>n</sup></sup>", "2^(2^n)"),
        ("100<sup>2</sup>=10000", "100^2=10000"),
        ("(a+b)<sup>2</sup>", "(a+b)^2"),
        ("e<sup>ix</sup> and x<sup>e</sup> and 10<sup>n</sup>", "e^ix and x^e and 10^n"),
        ("Ca<sup>2+</sup> Na<sup>+</sup>", "Ca^(2+) Na^+"),
        ("sinh<sup>2</sup> x", "sinh^2 x"),
        ("5 miles<sup>2</sup>", "5 miles^2"),
        ("<i>x</i><sup>2</sup>", "x^2"),
        ("площадь 5 км<sup>2</sup>", "площадь 5 км^2"),
        ("a <sup>14</sup>C sample", "a 14C sample"),
        ("10^<sup>6</sup>", "10^6"),
        ("<h2>E = mc<sup>2</sup></h2>", "## E = mc^2"),
        ('5 km<span style="vertical-align: super; font-size: 60%">2</span>', "5 km^2"),
        ('5 km<span style="vertical-align: super"><sup>2</sup></span>', "5 km^2"),
        ('10<span class="superscript">-3</span>', "10^-3"),
        ("<pre>x<sup>2</sup></pre>", "```\nx2\n```"),
    ],
)
def test_an_exponent_is_marked(html, text):
    assert text_of(f"<p>{html}") == text


@pytest.mark.parametrize(
    "html",
    [
        *(
            "1<sup>st</sup>",
            "22<sup>nd</sup>",
            "3<sup>rd</sup>",
            "4<sup>th</sup>",
            "1<sup>er</sup>",
        ),
        *("XIX<sup>e</sup> siècle", "M<sup>me</sup> X", "n<sup>o</sup> 5", "5<sup>a</sup>"),
        *("Acme<sup>TM</sup>", "Foo<sup>®</sup>", "x<sup>*</sup>", "word<sup>†</sup>"),
    ],
)
def test_endings_of_ordinals_and_signs_are_plain(html):
    assert text_of(f"<p>{html}") == html.replace("<sup>", "").replace("</sup>", "")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("H<sub>2</sub>O, CO<sub>2</sub>", "H2O, CO2"),
        ("C<sub>6</sub>H<sub>12</sub>O<sub>6</sub>", "C6H12O6"),
        ("Ca(OH)<sub>2</sub>", "Ca(OH)2"),
        ("SO<sub>4</sub><sup>2-</sup>", "SO4^(2-)"),
        ("x<sub>1</sub> + x<sub>2</sub>", "x_1 + x_2"),
        ("log<sub>2</sub> n", "log_2 n"),
        ("V<sub>out</sub>", "V_out"),
        ("x<sub>n+1</sub> a<sub>i, j</sub>", "x_(n+1) a_(i, j)"),
        ("x<sub>1</sub><sup>2</sup>", "x_1^2"),
        ("C<sub>1</sub>", "C_1"),
        ('x<span style="vertical-align:sub">i</span>', "x_i"),
        ('CO<span class="subscript">2</span>', "CO2"),
    ],
)
def test_an_index_is_marked_and_a_number_of_atoms_is_not(html, text):
    assert text_of(f"<p>{html}") == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            'It was 1998<sup class="reference"><a href="#c">[12]</a></sup> when',
            "It was 1998 [12] when",
        ),
        ('often.<sup><a href="#fn1">1</a></sup> It', "often. [1] It"),
        ('it<a href="#f"><sup>4</sup></a> is', "it [4] is"),
        ("said so.<sup>1</sup> A word<sup>2</sup>", "said so. [1] A word [2]"),
        ("“Quote”<sup>7</sup>", "“Quote” [7]"),
        ("claim<sup>[<a>citation needed</a>]</sup>", "claim [citation needed]"),
        (
            'a<sup class="reference"><a>[5]</a></sup><sup class="reference"><a>[6]</a></sup>',
            "a [5] [6]",
        ),
        ('it was 1998<a href="#f" style="vertical-align:super">4</a> when', "it was 1998 [4] when"),
        ("<a href=x>5 km<sup>2</sup> of land</a>", "5 km^2 of land"),
    ],
)
def test_marks_of_notes_stand_apart(html, text):
    assert text_of(f"<p>{html}") == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("add <sup>1</sup>&frasl;<sub>2</sub> cup", "add 1/2 cup"),
        ("3<sup>1</sup>/<sub>4</sub> tsp", "3 1/4 tsp"),
        (
            '<span class="frac">3<span class="sr-only">+</span><span '
            'class="num">1</span>&frasl;<span '
            'class="den">8</span></span> in',
            "3 1/8 in",
        ),
        (
            '<span class="sfrac"><span class="num">a</span><span class="sr-only">/</span><span '
            'class="den">b</span></span>',
            "a/b",
        ),
        ('&radic;<span style="text-decoration:overline">x+1</span>', "√(x+1)"),
        ('&radic;<span style="border-top:1px solid">2</span>', "√2"),
        ("<ruby>漢字<rt>かんじ</rt></ruby>と", "漢字(かんじ)と"),
        ("<ruby>東<rp>（</rp><rt>とう<rp>）</rp></ruby>", "東（とう）"),
        ("<ruby>a<rt>b<rt></ruby>.", "a(b)."),
    ],
)
def test_fractions_roots_and_readings(html, text):
    assert text_of(f"<p>{html}") == text


def test_long_text_is_no_exponent():
    assert text_of(f"<p>a<sup>{'b' * 50}</sup>") == "a" + "b" * 50
    assert text_of("<p>Title<sup>a longer remark</sup>") == "Title a longer remark"
