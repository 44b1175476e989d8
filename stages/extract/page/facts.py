"""What a start tag's attributes say about its element, as bits of one number: the element is
hidden, is a line of code, is a gutter of line numbers, and so on.

Three kinds of evidence state facts:

- **Values.** An attribute's value holds a word. Spaces do not count.
- **Declarations** of `style`, such as `display:none`. Also beginnings of them (`left:-99`).
- **Classes.** A whole name of the `class` attribute, in lower case, such as `sr-only`. The names
  are those of widely used style sheets, highlighters, editors and publishing systems.
"""

from typing import Final

import numpy as np
from corpusmill.stages.extract.page.hashing import hash_table
from corpusmill.stages.extract.page.names import ATTRIBUTES
from numpy.typing import NDArray

_NAMES_TEXT = (
    "UNDISPLAYED FINDABLE OUT_OF_SIGHT UNSPOKEN MATH_SCRIPT DISPLAY_SCRIPT TEX_ANNOTATION "
    "DISPLAY_MATH MATH_IMAGE RENDERED_MATH MATH_WRAPPER OVERLINE NOTE FRACTION NUMERATOR "
    "DENOMINATOR GUTTER NUMBERS TOOL CODE_TOOL CODE CODE_BOX CODE_LINE WHITE_SPACE PERMALINK "
    "LAYOUT SMALL_LETTERS CAPITAL_LETTERS SMALL_ROMAN CAPITAL_ROMAN RAISED LOWERED POST "
    "HIDDEN_CLASS SHOWN_CLASS DISPLAYS TRANSPARENT MOVES NO_SIZE NARROW LOW CUT ON_SCREEN "
    "OTHER_MEDIA UNTOUCHED"
)
_NAMES: Final = _NAMES_TEXT.split()
FACTS: Final = {name: 1 << bit for bit, name in enumerate(_NAMES)}
# How elements are displayed, in the names of classes.
_WAYS: Final = (
    "block",
    "flex",
    "grid",
    "inline",
    "inline-block",
    "inline-flex",
    "table",
    "table-cell",
)
# A reader does not see it. FINDABLE takes that back: a browser shows it to who searches for it.
UNDISPLAYED, FINDABLE = FACTS["UNDISPLAYED"], FACTS["FINDABLE"]
OUT_OF_SIGHT = FACTS["OUT_OF_SIGHT"]  # for screen readers only
HIDDEN_CLASS = FACTS["HIDDEN_CLASS"]  # undisplayed, but for SHOWN_CLASS: on some screens shown
SHOWN_CLASS = FACTS["SHOWN_CLASS"]
DISPLAYS = FACTS["DISPLAYS"]  # says how something is displayed, or that it is not
TRANSPARENT = FACTS["TRANSPARENT"]  # without opacity
UNTOUCHED = FACTS["UNTOUCHED"]  # no pointer reaches it, so it waits until a script shows it
MOVES = FACTS["MOVES"]  # a script makes it appear
NO_SIZE = FACTS["NO_SIZE"]  # its own text has no size; elements in it may have one
NARROW, LOW, CUT = FACTS["NARROW"], FACTS["LOW"], FACTS["CUT"]  # together: nothing is seen of it
ON_SCREEN, OTHER_MEDIA = FACTS["ON_SCREEN"], FACTS["OTHER_MEDIA"]  # of a style sheet
UNSPOKEN = FACTS["UNSPOKEN"]
MATH_SCRIPT, DISPLAY_SCRIPT = FACTS["MATH_SCRIPT"], FACTS["DISPLAY_SCRIPT"]
TEX_ANNOTATION, DISPLAY_MATH = FACTS["TEX_ANNOTATION"], FACTS["DISPLAY_MATH"]
MATH_IMAGE, RENDERED_MATH = FACTS["MATH_IMAGE"], FACTS["RENDERED_MATH"]
MATH_WRAPPER = FACTS["MATH_WRAPPER"]  # undisplayed MathML beside an image of the formula
OVERLINE, NOTE = FACTS["OVERLINE"], FACTS["NOTE"]
FRACTION, NUMERATOR, DENOMINATOR = FACTS["FRACTION"], FACTS["NUMERATOR"], FACTS["DENOMINATOR"]
GUTTER = FACTS["GUTTER"]  # line numbers, surely
NUMBERS = FACTS["NUMBERS"]  # line numbers, if it holds nothing but numbers
TOOL, CODE_TOOL = FACTS["TOOL"], FACTS["CODE_TOOL"]  # a copy button; the same only inside code
CODE = FACTS["CODE"]  # code in an element that is no `pre`
CODE_BOX = FACTS["CODE_BOX"]  # code, if its lines end with `br`
CODE_LINE = FACTS["CODE_LINE"]  # a line of code; its siblings are the other lines
WHITE_SPACE = FACTS["WHITE_SPACE"]  # white space and line ends count, as in `pre`
PERMALINK, LAYOUT = FACTS["PERMALINK"], FACTS["LAYOUT"]
SMALL_LETTERS, CAPITAL_LETTERS = FACTS["SMALL_LETTERS"], FACTS["CAPITAL_LETTERS"]
SMALL_ROMAN, CAPITAL_ROMAN = FACTS["SMALL_ROMAN"], FACTS["CAPITAL_ROMAN"]
RAISED, LOWERED = FACTS["RAISED"], FACTS["LOWERED"]  # as `sup` and `sub` are
POST = FACTS["POST"]  # the text of a post, in the pages of forum software

_VALUES: Final = {
    ("hidden", ""): UNDISPLAYED,
    ("hidden", "until-found"): FINDABLE,
    ("aria-hidden", "true"): UNSPOKEN,
    ("type", "math/tex"): MATH_SCRIPT,
    ("type", "display"): DISPLAY_SCRIPT,
    ("encoding", "tex"): TEX_ANNOTATION,
    ("display", "block"): DISPLAY_MATH,
    ("src", "latex"): MATH_IMAGE,
    ("role", "presentation"): LAYOUT,
    ("role", "none"): LAYOUT,
    ("media", "all"): ON_SCREEN,
    ("media", "screen"): ON_SCREEN,
    ("media", "("): OTHER_MEDIA,
    ("media", "print"): OTHER_MEDIA,
}
VALUE_ATTRIBUTES: Final = tuple(dict.fromkeys(name for name, _ in _VALUES))
IMAGE_CLASSES: Final = ("latex", "math-fallback-image", "tex")  # parts of an image's class
# Places beyond the edge of the page.
_FAR_AWAY = " ".join(
    f"{side}:-{far}"
    for side in ("left", "right", "top", "text-indent")
    for far in ("99", *(f"{digit}000" for digit in range(1, 10)))
)
_DECLARATIONS: Final = {
    "display:none visibility:hidden visibility:collapse content-visibility:hidden "
    f"clip:rect(0 clip:rect(1 clip-path:inset(50%) clip-path:inset(100%) {_FAR_AWAY}": UNDISPLAYED,
    "display: visibility:": DISPLAYS,
    "opacity:0 opacity:0.0 opacity:.0 opacity:0%": TRANSPARENT,
    "transform: -webkit-transform: transition: animation: will-change:": MOVES,
    "pointer-events:none position:fixed z-index:-1 z-index:-2 z-index:-10 z-index:-99": UNTOUCHED,
    "font-size:0 font-size:0px font-size:0em font-size:0rem font-size:0pt font-size:0%": NO_SIZE,
    "width:0 width:0px width:1px max-width:0 max-width:0px max-width:1px": NARROW,
    "height:0 height:0px height:1px max-height:0 max-height:0px max-height:1px": LOW,
    "overflow:hidden overflow:clip": CUT,
    "white-space:pre": WHITE_SPACE,
    "user-select:none -webkit-user-select:none": NUMBERS,
    "text-decoration:overline text-decoration-line:overline border-top:1px": OVERLINE,
    "list-style-type:lower-alpha list-style-type:lower-latin list-style:lower-alpha": SMALL_LETTERS,
    "list-style-type:upper-alpha list-style-type:upper-latin "
    "list-style:upper-alpha": CAPITAL_LETTERS,
    "list-style-type:lower-roman list-style:lower-roman": SMALL_ROMAN,
    "list-style-type:upper-roman list-style:upper-roman": CAPITAL_ROMAN,
    "vertical-align:super": RAISED,
    "vertical-align:sub": LOWERED,
}
BEGINNINGS: Final = (0, 3, 5, 6)  # characters of a value that a beginning has: `-99`, `rect(0`
# Bootstrap and Tailwind: hidden on small screens only.
_SHOWN_ON_SOME: Final = " ".join(
    (
        *(f"d-{size}-{way}" for size in ("sm", "md", "lg", "xl", "xxl") for way in _WAYS),
        *(f"{size}:{way}" for size in ("sm", "md", "lg", "xl", "2xl") for way in _WAYS),
    )
)
_CLASSES: Final = {
    "sr-only sr_only sronly visually-hidden visuallyhidden visually_hidden is-visually-hidden "
    "u-visually-hidden visuallyhidden-text screen-reader-text screen-reader-only screenreader-text "
    "screenreader-only screen-reader screenreader element-invisible a11y-hidden "
    "accessibly-hidden accessible-hidden hidden-accessible hidden-visually u-hidden-visually "
    "ui-helper-hidden-accessible assistive-text assistivetext offscreen off-screen offscreen-text "
    "u-screenreader vh-text show-for-sr usa-sr-only govuk-visually-hidden "
    "cdk-visually-hidden slds-assistive-text": OUT_OF_SIGHT,
    "d-none hidden hide invisible is-hidden is-invisible uk-hidden uk-invisible u-hidden ng-hide "
    "display-none element-hidden w-hidden visible-print visible-print-block "
    "visible-print-inline print-only": HIDDEN_CLASS,
    _SHOWN_ON_SOME: SHOWN_CLASS,
    # Icon fonts write the name of the icon as text.
    "material-icons material-icons-outlined material-icons-round material-icons-sharp "
    "material-symbols-outlined material-symbols-rounded material-symbols-sharp": GUTTER,
    # Line numbers: Rouge, Pygments, Prism, highlight.js, GitHub, GitLab, Crayon, Chroma,
    # CodeMirror, Ace, Monaco.
    "rouge-gutter linenodiv line-numbers-rows hljs-ln-numbers hljs-ln-n blob-num js-line-number "
    "react-line-number react-code-line-numbers crayon-nums crayon-num crayon-nums-content lnt "
    "lineno-container codemirror-linenumber codemirror-gutter codemirror-gutters "
    "codemirror-gutter-wrapper cm-gutters cm-gutter cm-gutterelement ace_gutter ace_gutter-cell "
    "margin-view-overlays mw-editsection editsection "
    # the `In [1]:` of notebooks
    "input_prompt output_prompt jp-inputprompt jp-outputprompt jp-inputarea-prompt "
    "jp-outputarea-prompt": GUTTER,
    "linenos lineno linenum linenumber linenumbers line-number line-numbers line_numbers "
    "line-num line-nums linenums lnum lnums lno ln gutter gl "
    "diff-line-num code-line-number code-line-numbers linenumbers-container "
    "hljs-line-numbers ec-line-number row-num row-number prompt": NUMBERS,
    "code-toolbar__toolbar toolbar-item copy-button copybutton copybtn copy-btn btn-copy "
    "button-copy copy-code copy-code-button code-copy code-copy-button codecopy "
    "copy-to-clipboard copy-to-clipboard-button btn-clipboard clipboard-button "
    "zeroclipboard-container snippet-copy crayon-toolbar crayon-info enlighter-toolbar "
    "enlighter-toolbar-top enlighter-toolbar-bottom enlighter-toolbar-hover gist-meta "
    "code-header code-block-header codeblock-header code-block__header code__header "
    "highlight-tools code-lang code-language code-block-language hljs-language lang-label "
    "language-label toolbar_item crayon-language hljs-copy hljs-copy-button": TOOL,
    "toolbar toolbars tools bar buttons copy clipboard copied": CODE_TOOL,
    "syntaxhighlighter dp-highlighter codemirror-code codemirror-lines ace_text-layer view-lines "
    "crayon-pre js-file-line-container dp-c dp-j dp-py dp-xml dp-css dp-sql dp-rb dp-cpp "
    "dp-vb dp-d": CODE,
    "code codebox code-box codeblock code-block code_block codeblocks bbcodeblock bbcode_code "
    "sourcecode source-code source_code code-snippet codesnippet code-sample": CODE_BOX,
    "cm-line codemirror-line view-line ace_line blob-code blob-code-inner crayon-line code-line "
    "codeline react-file-line": CODE_LINE,
    "katex-html mathjax mathjax_display mathjax_svg mathjax_svg_display mathjax_chtml "
    "mathjax_preview mjx-chtml mjx-math mathjax_processing": RENDERED_MATH,
    "mwe-math-mathml-inline mwe-math-mathml-display mwe-math-mathml-a11y": MATH_WRAPPER,
    "reference references-mark footnote footnote-ref footnote-reference footnotes-ref fn fnref "
    "fn-ref footnote-link footnote_referrer footnote_plugin_tooltip_text noteref note-ref "
    "endnote citation cite-ref simple-footnote modern-footnotes-footnote easy-footnote": NOTE,
    "superscript": RAISED,
    "subscript": LOWERED,
    "frac sfrac fraction": FRACTION,
    "num numerator": NUMERATOR,
    "den denominator": DENOMINATOR,
    "headerlink header-anchor anchorjs-link hash-link heading-anchor anchor-link heading-link "
    "headinglink heading__anchor permalink-icon anchor-icon sl-anchor-link direct-link "
    "heading-permalink docs-heading-anchor zola-anchor": PERMALINK,
    # Hacker News, Reddit, GitHub, GitLab, Stack Exchange, Discourse, XenForo, vBulletin, FluxBB,
    # MyBB, bbPress, wpForo, Khoros, Invision Community, Tieba.
    "commtext usertext-body js-comment-body note-text js-post-body cooked crawler-post bbwrapper "
    "messagetext js-post__content-text postmsg scaleimages bbp-topic-content bbp-reply-content "
    "wpforo-post-content lia-message-body-content cpost_contentwrap d_post_content": POST,
}
# What a class that names the language of code begins with.
LANGUAGE_PREFIXES: Final = ("language", "lang", "highlight-source", "highlight", "brush", "src")
LANGUAGE_FOLLOWS: Final = ("highlight", "sourcecode", "src")  # classes: the next one may name it
MAY_FOLLOW: Final = 1 << len(_NAMES)


def _value_facts() -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    rows, words = [], b""
    for (name, word), fact in _VALUES.items():
        begin = len(words)
        words += word.encode()
        rows.append((ATTRIBUTES.index(name), begin, len(words), fact))
    for word in IMAGE_CLASSES:
        begin = len(words)
        words += word.encode()
        rows.append((ATTRIBUTES.index("class"), begin, len(words), MATH_IMAGE))
    return np.array(rows, np.int64), np.frombuffer(words, np.uint8)


def _class_facts() -> dict[str, int]:
    facts = dict.fromkeys(LANGUAGE_FOLLOWS, MAY_FOLLOW)
    for listed, fact in _CLASSES.items():
        for word in listed.split():
            facts[word] = facts.get(word, 0) | fact
    return facts


# VALUES by row: attribute, begin and end of its word in VALUE_WORDS, fact.
VALUES, VALUE_WORDS = _value_facts()
# Declaration, or beginning of one -> its fact.
DECLARATIONS: Final = hash_table(
    {word: fact for listed, fact in _DECLARATIONS.items() for word in listed.split()}
)
CLASSES: Final = hash_table(_class_facts())  # class in lower case -> its facts, and MAY_FOLLOW
PREFIXES: Final = hash_table(dict.fromkeys(LANGUAGE_PREFIXES, 1))
