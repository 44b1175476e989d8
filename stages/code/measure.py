"""The statistics of a program file that rules look at.

Lengths are in characters. Values are numbers, or NaN where they say nothing about a file: then no
rule on them judges it.
"""

import re
from collections.abc import Mapping
from typing import Final

from corpusmill.stages.code.files import is_lock_file, tool_ending

# name -> meaning. The column of a statistic is `code_` and its name.
STATISTICS: Final[Mapping[str, str]] = {
    "null_bytes": "how many null characters there are",
    "lines": "lines",
    "longest_line": "characters of the longest line",
    "mean_line_length": "characters / lines",
    "alphanumeric_ratio": "letters and digits / characters that are no white space",
    "markup_ratio": "characters in tags such as <td class='x'> / characters",
    "lock_file": "1 if the name is that of a lock file",
    "generated": "1 if the name's ending or a mark says that a tool wrote the file",
    "permissive": "1 if the licence is permissive, 0 if not; nothing without a licence",
    "licensed": "1 if there is a licence",
    "syntax_errors": "1 if Python does not parse; nothing for other languages",
}
HEAD_LINES: Final = 40
HEAD_CHARACTERS: Final = 6000
# A line with one of these, among the first, says that a tool wrote the file.
MARKS: Final = re.compile(
    r"""@generated\b
    | \b(code|file|source|module|header|class|script|parser|lexer|document)\b
      .{0,40}\b(is|was|has\ been|were)\b.{0,20}\b(auto(matically)?[ -]?)?generated\b
    | \b(auto|automatically|machine|computer)[ -]?generated\b
      .{0,40}\b(by|from|using|with|file|code)\b
    | ^\W*auto-?generated\b
    | \bcode\ generated\ by\b
    | \bgenerated\ (by|with|using)\ (the\ )?
      (protocol\ buffer|protoc\b|grpc|swagger|openapi|django|cython|swig|thrift|bison|yacc|flex|
       antlr|ragel|javacc|qt|pyrcc|rpcgen|cmake|autoconf|automake|dart|flutter|rails|bindgen|
       rust-bindgen|mockgen|sqlc|ent\b|gencodec|h2py|scripts?/|tools/)
    | \bgenerated\ from\ \S.{0,80}\b(by|with|using|template)\b
    | \b(do|does)\ not\ (edit|modify|change)\b.{0,60}\b(generated|by\ hand|manually|will\ be\ lost)
    | \b(please\ )?(don't|do\ not)\ (edit|modify)(\ this\ file)?[!.* ]*($|\*/|--)
    | \bmade\ by\ gnu\ bison\b
    | \bqt\ user\ interface\ compiler\b
    | \bthis\ code\ was\ generated\ by\ a\ tool\b""",
    re.IGNORECASE | re.VERBOSE,
)
# A tag, or a declaration such as <!DOCTYPE html> or <?xml ... ?>. <?php begins a program.
_TAG = re.compile(r"</?[A-Za-z][\w:.-]*(?:\s[^<>]{0,2000})?/?>|<(?:![A-Za-z]|\?xml)[^<>]{0,2000}>")
_ALPHANUMERIC = re.compile(r"[^\W_]+")
_WHITE = re.compile(r"\s+")


def measure(path: str, text: str) -> dict[str, float]:
    """The statistics of a file's characters and name. Marks, licence and syntax have their own."""
    lines = text.split("\n")
    letters = sum(map(len, _ALPHANUMERIC.findall(text)))
    white = sum(map(len, _WHITE.findall(text)))
    return {
        "null_bytes": text.count("\0"),
        "lines": len(lines),
        "longest_line": max(map(len, lines)),
        "mean_line_length": len(text) / len(lines),
        "alphanumeric_ratio": letters / max(len(text) - white, 1),
        "markup_ratio": sum(len(tag) for tag in _TAG.findall(text)) / max(len(text), 1),
        "lock_file": is_lock_file(path),
    }


def generated_mark(path: str, text: str) -> str | None:
    """What says that a tool wrote the file: the ending of its name, or a line at its top.

    The tool itself has that line too. So a line that names this very file as the tool says nothing.
    """
    ending = tool_ending(path)
    if ending:
        return ending
    itself = f" by {path.rsplit('/', 1)[-1].lower()}"
    for line in text[:HEAD_CHARACTERS].split("\n")[:HEAD_LINES]:
        if MARKS.search(line[:400]) and itself not in line.lower():
            return line.strip()[:120]
    return None
