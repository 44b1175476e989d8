"""From chosen blocks to Markdown-light text: headings, lists, tables, code, and paragraphs.

    ## Heading     - item     1. item     a cell | the next cell     ``` code ```

The text is for a language model. So it is light: inline marks (links, emphasis) are not written,
and nothing is escaped.
"""

import re
from itertools import groupby
from typing import Final

import numpy as np
from corpusmill.stages.extract.page.numbering import mark_of
from corpusmill.stages.extract.page.page import (
    BEGIN,
    END,
    HEADING,
    LANGUAGE,
    LIST_DEPTH,
    LIST_ITEM,
    PREFORMATTED,
    ROW,
)
from corpusmill.stages.extract.tables import Tables
from numpy.typing import NDArray

DEEPEST_LIST: Final = 8
FENCE: Final = "```"
_FENCES: Final = re.compile("^[ \t]*(`{3,})", re.MULTILINE)
# Names that classes give to the languages of code. Other names (of people's languages, of styles)
# are not written.
_LANGUAGES = (
    "abap actionscript ada agda apache apex applescript arduino asm assembly awk bash bat batch "
    "bibtex c c# c++ clike clj clojure cmake cmd cobol coffee coffeescript console cpp crystal cs "
    "csharp css csv cuda cython d dart delphi diff django dockerfile docker dos dot elisp elixir "
    "elm erb erlang fish fortran fsharp gdscript gherkin glsl go golang gradle graphql groovy "
    "haml handlebars haskell haxe hcl hlsl html html5 http ini ipython ipython3 java javascript "
    "jinja jinja2 jl js json json5 jsonc jsx julia kotlin kt latex less liquid lisp lua make "
    "makefile markdown mathematica matlab md mdx mermaid mips mysql nasm nginx nim nix objc "
    "objective-c objectivec ocaml octave pascal patch perl pgsql php plsql postgresql powershell "
    "prolog properties proto protobuf ps1 puppet purescript py pycon pygments pyrex python "
    "python2 python3 qml r racket rb rest riscv rst ruby rs rust sas sass scala scheme scss sh "
    "shell shell-session shellscript smalltalk sml solidity sparql sql stata svelte svg swift "
    "systemverilog tcl terraform tex toml ts tsql tsx twig typescript vb vba vbnet verilog vhdl "
    "vim vue wasm wat xaml xhtml xml xquery xslt yaml yml zig zsh"
)
LANGUAGES: Final = frozenset(_LANGUAGES.split())
# Characters that show nothing by themselves. Editors of pages leave paragraphs of them.
UNSEEN: Final = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2800\ufeff \n"


def rendered(
    text: bytes, blocks: NDArray[np.int32], elements: NDArray[np.int32], chosen: NDArray[np.bool_]
) -> str:
    """The chosen blocks as text. `page.page` names the columns."""
    parts: list[str] = []
    before = ""  # the sort of the line before
    items: set[int] = set()  # list items whose mark is written
    picked = blocks[chosen].tolist()
    tables = Tables(blocks, elements, picked)
    for row, members in groupby(picked, key=lambda block: block[ROW]):
        group = list(members)
        lines = (
            [("row", tables.line(row, group, text))]
            if row and tables.is_row(row, group)
            else (_line(text, block, elements, items) for block in group)
        )
        for sort, line in lines:
            if not line:
                continue
            if parts:
                parts.append("\n" if sort == before and sort in ("row", "item") else "\n\n")
            parts.append(line)
            before = sort
    return "".join(parts)


def _line(
    text: bytes, block: list[int], elements: NDArray[np.int32], items: set[int]
) -> tuple[str, str]:
    """The sort of line that a block makes (item, or the empty string), and the line with its
    marks.
    """
    words = _text(text, block)
    if not words.strip(UNSEEN):
        return "", ""
    if block[PREFORMATTED]:
        return "", _code(words, text[block[BEGIN] - block[LANGUAGE] : block[BEGIN]])
    if block[HEADING]:
        return "", f"{'#' * block[HEADING]} {words.replace(chr(10), ' ')}"
    item = block[LIST_ITEM]
    if not item:
        return "", words
    indent = "  " * min(max(block[LIST_DEPTH] - 1, 0), DEEPEST_LIST)
    mark = "  " if item in items else f"{mark_of(elements, item)} "
    items.add(item)
    return "item", f"{indent}{mark}{words.replace(chr(10), chr(10) + indent + '  ')}"


def _code(words: str, language: bytes) -> str:
    """Code in a fence that is longer than any fence inside it."""
    inside = [len(found) for found in _FENCES.findall(words)]
    fence = "`" * (max(inside, default=len(FENCE) - 1) + 1)
    name = language.decode("utf-8", "ignore").strip(";,\"'").lower()
    return f"{fence}{name if name in LANGUAGES else ''}\n{words}\n{fence}"


def _text(text: bytes, block: list[int]) -> str:
    return text[block[BEGIN] : block[END]].decode("utf-8", "replace")
