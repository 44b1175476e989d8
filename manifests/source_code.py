"""What identifies the code of a class that a recipe names: its source, or its package's version.

A user's own filter can change without a new version. So its source files are part of a stage's
plan: the module of the class, the modules of its bases, and what these import, except installed
packages. A class of an installed package is identified by the package's version.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_INSTALLED = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}
_PACKAGES = {"site-packages", "dist-packages"}  # also those of another environment on the path


def source_digest(named: type[Any]) -> str:
    """Text that changes when the class's code may have changed: a line for each file or package."""
    found: dict[str, str] = {}
    for base in named.__mro__:
        _visit(sys.modules.get(base.__module__), found)
    package = named.__module__.partition(".")[0]
    lines = [f"{name} {digest}" for name, digest in sorted(found.items())]
    for distribution in importlib.metadata.packages_distributions().get(package, ()):
        lines.append(f"{distribution} {importlib.metadata.version(distribution)}")
    return "\n".join(lines)


def _visit(module: ModuleType | None, found: dict[str, str]) -> None:
    """Add the digests of a module and of the modules that it imports, but not installed ones."""
    if module is None or module.__name__ in found or not _is_own(module):
        return
    source = Path(str(module.__file__)).read_bytes()
    found[module.__name__] = hashlib.sha256(source).hexdigest()
    if str(module.__file__).endswith(".py"):
        for name in _imported(source, module.__package__ or ""):
            _visit(_module(name), found)


def _module(name: str) -> ModuleType | None:
    """The module, imported if need be: a filter may import its helpers only when it runs."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return importlib.util.module_from_spec(spec) if spec and spec.origin else None


def _imported(source: bytes, package: str) -> Iterator[str]:
    """The names in a source file's imports: modules, and some names that are not modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(above, package) if node.level else above
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _is_own(module: ModuleType) -> bool:
    """Whether the module is a source file outside installed packages and corpusmill."""
    path = getattr(module, "__file__", None)
    if not path or module.__name__.partition(".")[0] == "corpusmill":
        return False
    file = Path(path).resolve()
    if not file.is_file() or _PACKAGES & set(file.parts):
        return False
    return not any(file.is_relative_to(place) for place in _INSTALLED)
