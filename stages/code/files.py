"""What a file's name says: its programming language, and whether a tool wrote it.

Endings of names follow GitHub's Linguist. A `.h` file counts as C. Unknown endings have no
language.
"""

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final[Mapping[str, str]] = {
    ending: language
    for language, endings in {
        "Assembly": ".asm .s",
        "C": ".c .h",
        "C#": ".cs",
        "C++": ".cc .cpp .cxx .hh .hpp .hxx .ipp .tpp",
        "CMake": ".cmake",
        "CSS": ".css .less .sass .scss",
        "CUDA": ".cu .cuh",
        "Clojure": ".clj .cljc .cljs",
        "Common Lisp": ".lisp .cl .lsp",
        "D": ".d",
        "Dart": ".dart",
        "Dockerfile": ".dockerfile",
        "Elixir": ".ex .exs",
        "Elm": ".elm",
        "Emacs Lisp": ".el",
        "Erlang": ".erl .hrl",
        "F#": ".fs .fsi .fsx",
        "Fortran": ".f .f90 .f95 .for",
        "GLSL": ".glsl .vert .frag",
        "Go": ".go",
        "Groovy": ".groovy .gradle",
        "HTML": ".html .htm .xhtml",
        "Haskell": ".hs",
        "JSON": ".json .jsonc",
        "Java": ".java",
        "JavaScript": ".js .cjs .mjs .jsx",
        "Julia": ".jl",
        "Kotlin": ".kt .kts",
        "Lean": ".lean",
        "Lua": ".lua",
        "MATLAB": ".m",
        "Makefile": ".mk .mak",
        "Markdown": ".md .markdown",
        "Nim": ".nim",
        "Nix": ".nix",
        "OCaml": ".ml .mli",
        "Objective-C++": ".mm",
        "PHP": ".php .phtml",
        "Pascal": ".pas .pp",
        "Perl": ".pl .pm",
        "PowerShell": ".ps1 .psm1",
        "Prolog": ".pro .prolog",
        "Protocol Buffer": ".proto",
        "Python": ".py .pyi .pyw",
        "R": ".r",
        "Racket": ".rkt",
        "Ruby": ".rb .rake",
        "Rust": ".rs",
        "SQL": ".sql",
        "Scala": ".scala .sbt .sc",
        "Scheme": ".scm .ss",
        "Shell": ".sh .bash .zsh .fish",
        "Solidity": ".sol",
        "Swift": ".swift",
        "SystemVerilog": ".sv .svh",
        "TOML": ".toml",
        "Tcl": ".tcl",
        "TeX": ".tex .sty .cls",
        "TypeScript": ".ts .mts .cts .tsx",
        "VHDL": ".vhd .vhdl",
        "Verilog": ".v .vh",
        "Visual Basic": ".vb .bas",
        "Vue": ".vue",
        "XML": ".xml .xsd .xsl .xslt .svg .xaml",
        "YAML": ".yaml .yml",
        "Zig": ".zig",
    }.items()
    for ending in endings.split()
}
NAMES: Final = {"dockerfile": "Dockerfile", "makefile": "Makefile", "cmakelists.txt": "CMake"}
_SPELLED: Final = {language.lower(): language for language in LANGUAGES.values()}
LOCK_FILES: Final = (
    *("bun.lock", "cargo.lock", "composer.lock", "conan.lock", "flake.lock", "gemfile.lock"),
    *("go.sum", "go.work.sum", "gradle.lockfile", "mix.lock", "npm-shrinkwrap.json"),
    *("package-lock.json", "packages.lock.json", "pdm.lock", "pipfile.lock", "pixi.lock"),
    *("pnpm-lock.yaml", "podfile.lock", "poetry.lock", "pubspec.lock", "uv.lock", "yarn.lock"),
)
# Endings of files that tools write: minified scripts, source maps, compiled descriptions.
WRITTEN_BY_TOOLS: Final = (
    *(".min.js", ".min.css", ".bundle.js", ".js.map", ".css.map", ".pb.go", ".pb.cc", ".pb.h"),
    *("_pb2.py", "_pb2_grpc.py", ".g.dart", ".designer.cs", ".g.cs", ".snap", ".lock"),
)


def language_of(path: str, said: str | None) -> str | None:
    """The programming language: as the file's record says, or by the ending of its name."""
    if said:
        return _SPELLED.get(said.lower(), said)
    return NAMES.get(_name(path)) or LANGUAGES.get(_ending(path))


def is_lock_file(path: str) -> bool:
    """Whether the file lists the exact versions that a package manager chose."""
    return _name(path) in LOCK_FILES


def tool_ending(path: str) -> str | None:
    """The ending that says a tool wrote the file."""
    return next((end for end in WRITTEN_BY_TOOLS if _name(path).endswith(end)), None)


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].lower()


def _ending(path: str) -> str:
    name = _name(path)
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""
