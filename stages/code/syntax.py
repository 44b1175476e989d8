"""Whether a Python file parses, checked in a process of its own.

A file can hold what brings the parser down: brackets or operators nested a million deep, literals
of many megabytes. So it is parsed in the process that `extract` uses for pages
(`stages.extract.sandbox`), with limits of time and memory. The parser is that of the Python that
runs. Nothing of the file is run.
"""

import ast
import platform
import warnings


def syntax_error(text: str) -> str | None:
    """What is wrong with a Python file; None if it parses. Never raises for the file's content,
    but for MemoryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes such as "\d" are no error yet
        try:
            ast.parse(text)
        except SyntaxError as error:
            where = f" (line {error.lineno})" if error.lineno else ""
            return f"{error.msg}{where}"
        except (ValueError, RecursionError) as error:
            return f"{type(error).__name__}: {error}"
    return None


def parser_version() -> str:
    """Versions of Python know different syntax."""
    return "python " + ".".join(platform.python_version_tuple()[:2])
