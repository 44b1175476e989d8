"""Code in notebooks and in panels of tabs comes out whole, and their prompts and buttons do not."""

import pytest
from corpusmill.stages.extract.main_content import main_content

CELLS = [
    ("import numpy as np\nx = np.arange(5)", None),
    ("x + 1", "array([1, 2, 3, 4, 5])"),
    ("x.sum()", "10"),
    ("for n in x:\n    print(n)", "0\n1\n2\n3\n4"),
]
TEXT = "<p>An array holds numbers of one type side by side, and works on all of them at once.</p>"
PARAGRAPHS = (
    "<p>The client library lets your application send messages to the queue and read them back in "
    "the order in which they were written.</p><p>Before you begin, make sure that the server is "
    "running and that you know its address, since all examples use the default port.</p>"
)


def lab(number: int, code: str, output: str | None) -> str:
    out = (
        f"<div class=jp-Cell-outputWrapper><div class='jp-OutputArea-prompt'>Out[{number}]:</div>"
        f"<div class='jp-RenderedText'><pre>{output}</pre></div></div>"
    )
    return (
        "<div class='jp-Cell jp-CodeCell'><div class='jp-Cell-inputWrapper'>"
        f"<div class='jp-InputPrompt jp-InputArea-prompt'>In&nbsp;[{number}]:</div>"
        f"<div class='highlight hl-ipython3'><pre><span></span>{code}\n</pre></div></div>"
        f"{out if output else ''}</div>"
    )


def classic(number: int, code: str, output: str | None) -> str:
    out = (
        f"<div class=output><div class='prompt output_prompt'>Out[{number}]:</div>"
        f"<div class=output_text><pre>{output}</pre></div></div>"
    )
    return (
        "<div class='cell code_cell'><div class=input><div class='prompt input_prompt'>"
        f"In&nbsp;[{number}]:</div><div class=input_area><pre>{code}</pre></div></div>"
        f"{out if output else ''}</div>"
    )


def sphinx(number: int, code: str, output: str | None) -> str:
    prompt = (
        "<div class='prompt highlight-none notranslate'><div class=highlight>"
        f"<pre>[{number}]:\n</pre></div></div>"
    )
    out = f"<div class=nboutput>{prompt}<div class=output_area><pre>{output}</pre></div></div>"
    return (
        f"<div class=nbinput>{prompt}<div class='input_area'><pre>{code}</pre></div></div>"
        f"{out if output else ''}"
    )


def main_text(body: str) -> str:
    html = f"<html><head><title>Arrays</title></head><body><main>{body}</main></body></html>"
    return main_content(html, lambda _: "en")


@pytest.mark.parametrize("written", [lab, classic, sphinx])
@pytest.mark.parametrize("after", ["", TEXT])
def test_every_cell_of_a_notebook_comes_out_without_its_prompt(written, after):
    cells = "".join(written(number, *cell) for number, cell in enumerate(CELLS, 1))
    text = main_text(f"<h1>Arrays</h1>{TEXT}{cells}{after}")
    for code, output in CELLS:
        assert f"\n{code}\n```" in text
        assert output is None or f"```\n{output}\n```" in text
    assert "In\xa0[" not in text
    assert "[1]:" not in text


def test_numbers_in_an_element_named_prompt_go_and_prompts_of_words_stay():
    prompt = "Write a story about a dog that finds a river and learns to swim in it."
    assert "a dog" in main_text(f"<h1>Prompts</h1>{TEXT}<div class=prompt>{prompt}</div>{TEXT}")


CODE = {"python": "client.send('a')", "java": 'client.send("a");', "go": 'c.Send("a")'}
TABS = {
    "Bootstrap": (
        "<div class='tab-pane' id={name} role=tabpanel><pre><code class=language-{name}>{code}"
        "</code></pre></div>"
    ),
    "Docusaurus": (
        "<div role=tabpanel hidden class=tabItem_Ymn6><pre class='prism-code language-{name}'>"
        "<code>{code}</code></pre></div>"
    ),
    "inline style": "<div class=tabcontent style='display: none'><pre>{code}</pre></div>",
    "style sheet": "<div class=tabs-panel><pre>{code}</pre></div>",
    "utility class": "<div class='code-tab d-none'><pre>{code}</pre></div>",
}


@pytest.mark.parametrize("kind", TABS)
def test_the_code_of_every_tab_comes_out(kind):
    panels = "".join(TABS[kind].format(name=name, code=code) for name, code in CODE.items())
    style = "<style>.tabs-panel{display:none}</style>" if kind == "style sheet" else ""
    text = main_text(f"{style}<h1>Send</h1>{PARAGRAPHS}<div class=tabs>{panels}</div>{PARAGRAPHS}")
    for code in CODE.values():
        assert f"\n{code}\n```" in text
