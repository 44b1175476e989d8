"""Code as highlighters, editors and hand-written pages mark it: its lines, its indentation, its
language, and nothing else.
"""

import pytest

from tests.stages.extract.pages import text_of

TWO_LINES = "def f():\n    return 1"
EMPTY_BETWEEN = "def f():\n\n    return 1"


def fenced(code, language=""):
    return f"```{language}\n{code}\n```"


PYGMENTS_TABLE = """<table class="highlighttable"><tr><td class="linenos"><div class="linenodiv">
<pre>1\n2\n</pre></div></td><td class="code"><div class="highlight"><pre><span></span>def f():
    return 1\n</pre></div></td></tr></table>"""
PYGMENTS_INLINE = """<div class="highlight"><pre><span class="linenos">1</span>def f():
<span class="linenos">2</span>    return 1\n</pre></div>"""
ROUGE = """<div class="language-python highlighter-rouge"><div class="highlight"><pre
class="highlight"><code><table class="rouge-table"><tbody><tr><td class="rouge-gutter gl"><pre
class="lineno">1\n2\n</pre></td><td class="rouge-code"><pre>def f():\n    return 1\n</pre></td
></tr>
</tbody></table></code></pre></div></div>"""
JEKYLL = """<figure class="highlight"><pre><code class="language-python" data-lang="python"><table
class="rouge-table"><tbody><tr><td class="gutter gl"><pre class="lineno">1\n2\n</pre></td>
<td class="code"><pre>def f():\n    return 1\n</pre></td></tr></tbody></table></code></pre
></figure>"""
SYNTAX_HIGHLIGHTER = """<div class="syntaxhighlighter python"><div class="toolbar"><span
><a href="#"
class="toolbar_item command_help help">?</a></span></div><table><tbody><tr><td class="gutter">
<div class="line number1 index0 alt2">1</div><div class="line number2">2</div><div
class="line number3">3</div></td><td class="code"><div class="container"><div class="line number1"
><code class="python keyword">def</code> <code class="python plain">f():</code></div><div
class="line number2">&nbsp;</div><div class="line number3"><code
class="python spaces">&nbsp;&nbsp;&nbsp;&nbsp;</code><code>return</code> <code>1</code></div></div>
</td></tr></tbody></table></div>"""
DP = """<div class="dp-highlighter bg_python"><div class="bar"><div class="tools"><b>[python]</b>
<a>view plain</a></div></div><ol start="1" class="dp-py"><li class="alt"><span><span
class="keyword">def</span> f():&nbsp;&nbsp;</span></li><li><span
>&nbsp;&nbsp;&nbsp;&nbsp;return&nbsp;1
</span></li></ol></div>"""
HIGHLIGHT_JS = """<pre><code class="hljs language-python"><table class="hljs-ln"><tbody><tr><td
class="hljs-ln-line hljs-ln-numbers" data-line-number="1"><div class="hljs-ln-n"></div></td><td
class="hljs-ln-line hljs-ln-code">def f():</td></tr><tr><td class="hljs-ln-numbers">2</td><td
class="hljs-ln-code"></td></tr><tr><td class="hljs-ln-numbers">3</td><td class="hljs-ln-code"
>    return <span class="hljs-number">1</span></td></tr></tbody></table></code></pre>"""
PRISM = """<div class="code-toolbar"><pre class="line-numbers language-python"><code
class="language-python"><span class="token keyword">def</span> f():
    return <span class="token number">1</span>
<span aria-hidden="true" class="line-numbers-rows"><span></span></span></code></pre><div
class="toolbar"><div class="toolbar-item"><span>Python</span></div><div class="toolbar-item">
<button>Copy</button></div></div></div>"""
GITHUB = """<table class="highlight tab-size js-file-line-container"><tbody>
<tr>\n<td id="L1" class="blob-num" data-line-number="1"></td>
<td id="LC1" class="blob-code blob-code-inner js-file-line">def f():</td>\n</tr>
<tr><td class="blob-num">2</td><td class="blob-code">\n</td></tr>
<tr><td class="blob-num">3</td>\n<td class="blob-code">    return 1</td></tr></tbody></table>"""
GITLAB = """<div class="blob-viewer"><div class="line-numbers"><a class="diff-line-num" id="L1"
>1</a>
<a class="diff-line-num">2</a></div><div class="blob-content"><pre class="code highlight"><code
><span
id="LC1" class="line" lang="python">def f():</span>\n<span class="line">    return 1</span></code
></pre>
</div></div>"""
CHROMA_TABLE = """<div class="highlight"><div class="chroma"><table class="lntable"><tr
><td class="lntd">
<pre tabindex="0" class="chroma"><code><span class="lnt">1\n</span><span class="lnt">2\n</span
></code>
</pre></td><td class="lntd"><pre class="chroma"><code class="language-python" data-lang="python"
><span
class="line"><span class="cl">def f():\n</span></span><span class="line">    return 1\n</span
></code>
</pre></td></tr></table></div></div>"""
CHROMA_INLINE = """<pre class="chroma"><code class="language-python"><span class="line"><span
class="ln">1</span><span class="cl">def f():\n</span></span><span class="line"><span class="ln"
>2</span
>    return 1\n</span></code></pre>"""
CHROMA_STYLED = """<pre style="color:#fff"><code class="language-python"
><span style="display:flex;"><span
style="white-space:pre;-webkit-user-select:none;user-select:none;color:#7f7f7f">1</span><span
>def f():
</span></span><span style="display:flex;"><span style="user-select:none">2</span>    return 1
</span></code></pre>"""
HEXO = """<figure class="highlight python"><table><tr><td class="gutter"><pre><span class="line"
>1</span>
<br><span class="line">2</span><br></pre></td><td class="code"><pre><span class="line"
>def f():</span><br
><span class="line">    return 1</span><br></pre></td></tr></table></figure>"""
CRAYON = """<div class="crayon-syntax"><div class="crayon-toolbar"><span class="crayon-title"
>x</span><div
class="crayon-tools"><span class="crayon-language">Python</span></div></div><div
class="crayon-plain-wrap"><textarea class="crayon-plain">def f():</textarea></div><div
class="crayon-main"><table class="crayon-table"><tr class="crayon-row"><td class="crayon-nums"><div
class="crayon-num">1</div><div class="crayon-num">2</div></td><td class="crayon-code"><div
class="crayon-pre"><div class="crayon-line"><span>def</span><span> </span><span>f():</span></div
><div
class="crayon-line"> </div><div class="crayon-line">&nbsp;&nbsp;&nbsp;&nbsp;return 1</div></div
></td>
</tr></table></div></div>"""
DOCUSAURUS = """<div class="language-python codeBlockContainer_x"
><pre class="prism-code language-python"
><code class="codeBlockLines_x"><span class="token-line" style="color:#393A34"><span>def</span
> f():<br
></span><span class="token-line"><span style="display:inline-block"></span><br></span><span
class="token-line">    return 1<br></span></code></pre></div>"""
SHIKI = """<pre class="shiki github-dark"><code><span class="line"><span>def</span> f():</span>
<span class="line"></span>\n<span class="line">    return 1</span></code></pre>"""
PRETTYPRINT = """<pre class="prettyprint lang-py linenums"><ol class="linenums"><li class="L0"
><code>def
f():</code></li><li class="L1"></li><li class="L2">    return 1</li></ol></pre>""".replace(
    "\n", " "
)
WORDPRESS = (
    '<pre class="brush: python; title: ; notranslate" title="">def f():\n    return 1\n</pre>'
)
SPHINX = """<div class="highlight-python3 notranslate"><div class="highlight"><pre>def f():
    return 1\n</pre></div></div>"""
PANDOC = """<div class="sourceCode" id="cb1"><pre class="sourceCode python"><code
><span id="cb1-1"><a
href="#cb1-1" aria-hidden="true"></a>def f():</span>\n<span><a href="#cb1-2"></a
>    return 1</span>
</code></pre></div>"""
CODEMIRROR_6 = """<div class="cm-editor"><div class="cm-gutters"><div class="cm-gutterElement"
>1</div></div>
<div class="cm-content" data-language="python"><div class="cm-line">def f():</div
><div class="cm-line"><br>
</div><div class="cm-line">    return 1</div></div></div>"""
CODEMIRROR_5 = """<div class="CodeMirror-code"><div style="position: relative;"><div
class="CodeMirror-gutter-wrapper"><div class="CodeMirror-linenumber">1</div></div><pre
class=" CodeMirror-line "><span>def f():</span></pre></div><div><pre class=" CodeMirror-line "
>    return
1</pre></div></div>""".replace("return\n", "return ")
ACE = """<div class="ace_text-layer"><div class="ace_line">def f():</div><div class="ace_line"
>    return 1
</div></div>"""
GIST = """<div class="gist"><div class="gist-data"
><table class="highlight js-file-line-container"><tr><td
class="blob-num js-line-number"></td><td class="blob-code">def f():</td></tr><tr
><td class="blob-num"></td>
<td class="blob-code">    return 1</td></tr></table></div><div class="gist-meta"><a>view raw</a
> hosted by
GitHub</div></div>"""
LISTED = {
    "pygments table": (PYGMENTS_TABLE, TWO_LINES, ""),
    "pygments inline": (PYGMENTS_INLINE, TWO_LINES, ""),
    "rouge": (ROUGE, TWO_LINES, "python"),
    "jekyll": (JEKYLL, TWO_LINES, "python"),
    "syntaxhighlighter": (SYNTAX_HIGHLIGHTER, EMPTY_BETWEEN, ""),
    "dp.SyntaxHighlighter": (DP, TWO_LINES, ""),
    "highlight.js": (HIGHLIGHT_JS, EMPTY_BETWEEN, "python"),
    "prism": (PRISM, TWO_LINES, "python"),
    "github": (GITHUB, EMPTY_BETWEEN, ""),
    "gitlab": (GITLAB, TWO_LINES, ""),
    "chroma table": (CHROMA_TABLE, TWO_LINES, "python"),
    "chroma inline": (CHROMA_INLINE, TWO_LINES, "python"),
    "chroma styled": (CHROMA_STYLED, TWO_LINES, "python"),
    "hexo": (HEXO, TWO_LINES, "python"),
    "crayon": (CRAYON, EMPTY_BETWEEN, ""),
    "docusaurus": (DOCUSAURUS, EMPTY_BETWEEN, "python"),
    "shiki": (SHIKI, EMPTY_BETWEEN, ""),
    "prettyprint": (PRETTYPRINT, EMPTY_BETWEEN, "py"),
    "wordpress": (WORDPRESS, TWO_LINES, "python"),
    "sphinx": (SPHINX, TWO_LINES, "python3"),
    "pandoc": (PANDOC, TWO_LINES, "python"),
    "codemirror 6": (CODEMIRROR_6, EMPTY_BETWEEN, "python"),
    "codemirror 5": (CODEMIRROR_5, TWO_LINES, ""),
    "ace": (ACE, TWO_LINES, ""),
    "gist": (GIST, TWO_LINES, ""),
}


@pytest.mark.parametrize("kind", LISTED)
def test_code_of_highlighters_and_editors_comes_out_as_a_fence(kind):
    html, code, language = LISTED[kind]
    expected = f"before\n\n{fenced(code, language)}\n\nafter"
    assert text_of(f"<p>before</p>{html}<p>after") == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            "<p>a</p><p><code>def f():<br>&nbsp;&nbsp;&nbsp;&nbsp;return 1</code></p>b",
            f"a\n\n{fenced(TWO_LINES)}\n\nb",
        ),
        ("<code>one<br />\n&nbsp; two<br />\nthree</code>", fenced("one\n  two\nthree")),
        ("<div class=code>one<br>&nbsp; two</div>", fenced("one\n  two")),
        ("<p>Use <code>a<br>b</code> well.", "Use a\nb well."),
        ("<p><code>f(x)</code> is a call.", "f(x) is a call."),
        ("<p><code style='white-space: pre'>a\n  b</code></p>", fenced("a\n  b")),
        ("<p><code style='white-space:pre-wrap'>a</code> is\nb", "a is b"),
        (
            "<p><code style='white-space:pre'><span>a</span>, <strong>b</strong>\n  c</code></p>",
            fenced("a, b\n  c"),
        ),
        ("<p><kbd style='white-space:pre'><cite>a</cite></kbd>\nb", "a b"),
        ("<div class=codeblock style='white-space:pre'>a\n  b</div>", fenced("a\n  b")),
        ("<xmp>\n<b>x</b>\n  y</xmp>z", f"{fenced('<b>x</b>' + chr(10) + '  y')}\n\nz"),
        ("<listing>a\n b</listing>", fenced("a\n b")),
        ("<pre><br>a<br><br>b</pre>", fenced("a\n\nb")),
        (
            "<pre>a<table><tr><td>b</td><td>c</td></tr><tr></tr><tr><td>d</table>",
            fenced("a\nbc\n\nd"),
        ),
        ("<pre>\n\ta\n\t\tb\t \n</pre>", fenced("\ta\n\t\tb")),
    ],
)
def test_code_without_a_highlighter(html, expected):
    assert text_of(html) == expected


def test_numbers_in_code_stay():
    html = (
        "<pre class=linenos>for i in 1\n<span class=mi>3</span> <span class=lineno>x1</span></pre>"
    )
    assert text_of(html) == fenced("for i in 1\n3 x1")


@pytest.mark.parametrize("inside", ["42", "10\n20"])
def test_code_with_line_numbers_may_be_numbers(inside):
    html = f'<p>It prints<pre class="line-numbers language-none"><code>{inside}</code></pre>'
    assert text_of(html) == f"It prints\n\n{fenced(inside)}"


def test_numbers_in_a_table_of_data_stay():
    assert (
        text_of("<table><tr><th>Year<th>Mills<tr><td>1954<td>12</table>")
        == "Year | Mills\n1954 | 12"
    )


@pytest.mark.parametrize("label", ["Copy", "COPY", "Copied!", "Copy code"])
def test_the_labels_of_copy_buttons_go(label):
    html = (
        f"<p>a</p><div class=buttons><button>{label}</button></div><pre>b<button>x</button></pre>"
    )
    assert text_of(html) == f"a\n\n{fenced('b')}"


def test_the_word_copy_stays_elsewhere():
    assert text_of("<p>Copy<p><button>Buy</button>") == "Copy\n\nBuy"


def test_a_fence_is_longer_than_any_fence_inside():
    assert text_of("<pre>a\n```\nb\n````\n</pre>") == "`````\na\n```\nb\n````\n`````"


@pytest.mark.parametrize("name", ["en", "none", "x y", "é", "plaintext"])
def test_what_is_no_known_language_of_code_is_not_written(name):
    assert text_of(f"<pre class='language-{name}'>a</pre>") == fenced("a")


def test_a_language_is_that_of_the_next_code_only():
    first = "<div class=language-c><pre>a</pre><pre>b</pre></div>"
    html = f"{first}<code class=lang-js>x</code><p>y<pre>c</pre>"
    assert text_of(html) == f"{fenced('a', 'c')}\n\n{fenced('b')}\n\nx\n\ny\n\n{fenced('c')}"


def test_lines_of_a_poem_are_no_code():
    assert (
        text_of("<div class=line-block><div class=line>a</div><div class=line>b</div></div>")
        == "a\n\nb"
    )
