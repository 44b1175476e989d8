"""What a page repeats is kept each time: a refrain, a step of a list, a line of code."""

import pytest
from corpusmill.stages.extract import main_content

from tests.stages.readers.warc_bytes import PROSE


def written(body):
    html = f"<title>Mill</title><main><h1>Mill</h1><p>{PROSE}</p>{body}<p>The end of it.</p></main>"
    return main_content.main_content(html, lambda _text: "en")


@pytest.mark.parametrize(
    "repeated",
    [
        "<p>Roll on, old wheel of the mill, until the river is gone.</p>",
        "<div><p>Roll on, old wheel of the mill,</p><p>until the river is gone.</p></div>",
        "<p>Mr Smith:</p><p>I vote for the mill, until the river is gone.</p>",
        "<ol><li>Stretch both of the arms, until the river is gone.</li></ol>",
        "<ul><li><code>wait for the wheel of the mill, until the river is gone</code></li></ul>",
        "<table><tr><td>one day in the mill</td><td>until the river is gone</td></tr></table>",
        "<pre><code>wait for the wheel of the mill, until the river is gone</code></pre>",
    ],
)
def test_what_stands_twice_in_a_row_is_written_twice(repeated):
    assert written(repeated * 2).count("until the river is gone") == 2


def test_steps_of_a_list_may_be_equal():
    step = "<li>Stretch both of the arms and count to eight, then let go of them.</li>"
    text = written(f"<ol>{step * 3}<li>Rest.</li></ol>")
    assert text.count("let go of them") == 3
    assert "4. Rest." in text
