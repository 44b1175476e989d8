"""Tables, lists and headings as text."""

import pytest

from tests.stages.extract.pages import text_of


def table(*rows, attributes=""):
    return f"<table {attributes}>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            table("<th>A<th>B<th>C", "<td>1<td><td>3", "<td>1<td>2<td>", "<td><td>&nbsp;<td>3"),
            "A | B | C\n1 | | 3\n1 | 2 |\n| | 3",
        ),
        (table("<th>A<th>B<th>C", "<td colspan=2>1<td>3"), "A | B | C\n1 | | 3"),
        (
            table("<th>A<th>B<th>C", "<td rowspan=3>x<td>y<td>z", "<td>y2<td>z2", "<td><td>z3"),
            "A | B | C\nx | y | z\n| y2 | z2\n| | z3",
        ),
        (
            table(
                "<th rowspan=2>Bridge<th colspan=2>Chains",
                "<th>1st<th>2nd",
                "<td>North<td>12<td>13",
            ),
            "Bridge | Chains |\n| 1st | 2nd\nNorth | 12 | 13",
        ),
        ("<table><tbody><tr><td rowspan=9>a<td>b<tbody><tr><td>c<td>d</table>", "a | b\nc | d"),
        (table("<td>a<td rowspan=0>b<td>c", "<td>d<td>e"), "a | b | c\nd | | e"),
        (table("<td>a<td>&nbsp;<td>b", "<td>c<td><td>d"), "a | b\nc | d"),  # a column that is empty
        (table("<td colspan=999999>a<td>b"), "a | b"),
        (table("<th>A<th>B", "<td>a<td><p>b<p>c"), "A | B\na | b c"),
        (table("<th>A<th>B", "<td>a<td>b<br>c"), "A | B\na | b c"),
        (table("<th>A|B<th>C", "<td>a || b<td>$|x|$"), "A\\|B | C\na \\|\\| b | $\\|x\\|$"),
    ],
)
def test_every_cell_keeps_its_column(html, text):
    assert text_of(html) == text


PARAGRAPH = "The wheel was made of ash wood and had a bell that rang after every hundred turns."


@pytest.mark.parametrize(
    ("html", "lines"),
    [
        (table(f"<td>Menu<td><p>{PARAGRAPH}<p>{PARAGRAPH}"), ["Menu", PARAGRAPH, PARAGRAPH]),
        (table("<td><ul><li>one<li>two</ul><td><h2>H</h2>x"), ["- one\n- two", "## H", "x"]),
        (table("<td>one<td>two", attributes="role=presentation"), ["one", "two"]),
        (table("<td>only", "<td>column"), ["only", "column"]),
        (table(f"<td>a<td>{table('<td>b<td>c', '<td>d<td>e')}"), ["a", "b | c\nd | e"]),
        (table("<th>A<th>B", f"<td>x<td>{PARAGRAPH * 6}"), ["A | B", "x", PARAGRAPH * 6]),
    ],
)
def test_cells_of_a_layout_are_blocks(html, lines):
    assert text_of(html) == "\n\n".join(lines)


def test_many_rows_that_reach_down_take_little_time():
    row = "<td rowspan=65534>x" * 300
    assert text_of(f"<table><tr><th>a<tr>{row}{'<tr><td>y' * 2000}</table>").count("y") == 2000


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ol start=10><li>a<li>b</ol>", "10. a\n11. b"),
        ("<ol start=0><li>a<li value=-5>b<li>c</ol>", "0. a\n-5. b\n-4. c"),
        ("<ol reversed><li>a<li>b<li>c</ol>", "3. a\n2. b\n1. c"),
        ("<ol reversed start=9><li>a<li>b</ol>", "9. a\n8. b"),
        ("<ol reversed><li>a<li value=7>b<li>c</ol>", "3. a\n7. b\n6. c"),
        ("<ol><li value=7>a<li>b</ol>", "7. a\n8. b"),
        ("<ol type=a start=26><li>x<li>y</ol>", "z. x\naa. y"),
        ("<ol type=A><li>x<li type=1>y</ol>", "A. x\n2. y"),
        ("<ol type=i start=8><li>x<li>y</ol>", "viii. x\nix. y"),
        ("<ol type=I start=1999><li>x</ol>", "MCMXCIX. x"),
        ("<ol type=i start=0><li>x</ol>", "0. x"),
        ("<ol style='list-style-type: upper-alpha'><li>x</ol>", "A. x"),
        ("<ol><li>a<ol type=a><li>b</ol><li>c</ol>", "1. a\n  a. b\n2. c"),
        ("<ol start=x><li>a</ol>", "1. a"),
        ("<ul start=5><li>a<li>b</ul>", "- a\n- b"),
        ("<ol><li><p>a<p>b</ol>", "1. a\n  b"),
    ],
)
def test_lists_are_numbered_as_the_page_says(html, text):
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<h1>Title <a class="headerlink" href="#t">¶</a></h1>', "# Title"),
        ('<h2><a class="anchor" href="#x">#</a> Two</h2>', "## Two"),
        ('<h2><a href="#y" class="header-anchor">Three</a></h2>', "## Three"),
        ('<h2>Four <a href="#y" class="header-anchor">Permalink</a></h2>', "## Four"),
        (
            '<h2>Five<span class="mw-editsection"><span>[</span><a>edit</a>]</span></h2>',
            "## Five",
        ),
        ("<h3>Six <a href=#s>🔗</a></h3>", "### Six"),
        ("<h3><a href=#s>§</a> Seven</h3>", "### Seven"),
        ("<h3><a href=#s>##</a></h3>a", "a"),
        ("<h4>C#</h4>", "#### C#"),
        ("<h4><a href=/c>C#</a></h4>", "#### C#"),
        ("<p>as <a href=x>§</a> 5 says", "as § 5 says"),
        ('<dl><dt>f()<a class="headerlink">¶</a><dd>Text</dl>', "f()\n\nText"),
    ],
)
def test_signs_of_permanent_links_go(html, text):
    assert text_of(html) == text
