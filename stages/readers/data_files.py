"""Which files of a folder are data: those that a reader takes for documents without being told.

Folders of data also hold what describes it: a README, a licence, tables, programs, checksums. These
are no documents. A file is data by its name, or by its content if only data begins so.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers import FORMAT_SUFFIXES, certain_format
from corpusmill.stages.readers.compression import start_of, without_suffixes

# Names of files about a folder, without their suffix. A corpus may well have a `news.txt`, so only
# names are here that hardly any document has.
_ABOUT = frozenset(
    (
        "readme",
        "read_me",
        "license",
        "licence",
        "licenses",
        "copying",
        "notice",
        "changelog",
        "authors",
        "contributors",
        "contributing",
        "code_of_conduct",
        "dataset_info",
        "dataset_infos",
        "dataset_dict",
        "checksums",
        "md5sum",
        "md5sums",
        "sha256sum",
        "sha256sums",
        "cmakelists",
    )
)
# Names that tools give to files about a folder, with their suffix.
_MADE_BY_TOOLS = frozenset(
    ("requirements.txt", "robots.txt", "manifest.json", "metadata.json", "manifest.txt")
)
_SURE = (".warc", ".wet", ".wat", ".arc", ".jsonl", ".ndjson", ".parquet")  # never about a folder
_MOST_NAMED = 5


class Sorted(NamedTuple):
    """Files that are data, and the others."""

    data: list[str]
    others: list[str]


def sorted_out(paths: Sequence[str]) -> Sorted:
    """The files of a folder, sorted by what they are."""
    found = Sorted([], [])
    for path in paths:
        (found.data if is_data(path) else found.others).append(path)
    return found


def is_data(path: str) -> bool:
    """Whether a file is data by its name, or else by its content."""
    own = path.rsplit("/", 1)[-1]
    if own.startswith("_"):  # what Spark and Hive leave beside data
        return False
    name = without_suffixes(path)
    if name.endswith(_SURE):
        return True
    if name.split(".", 1)[0].replace("-", "_") in _ABOUT or name in _MADE_BY_TOOLS:
        return False
    if name.endswith(FORMAT_SUFFIXES):
        return not name.endswith(".json") or _begins_as_data(path)
    return _begins_as_data(path)


def names_of(paths: Sequence[str]) -> str:
    """The files' names, for a message: some of them, and how many more there are."""
    names = [path.rsplit("/", 1)[-1] for path in paths[:_MOST_NAMED]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _begins_as_data(path: str) -> bool:
    """Whether the file begins as WARC, ARC, Parquet or JSON lines do.

    A file that the disk does not give is taken for data, so that reading it tells the error.
    """
    try:
        with storage.open_read(path) as file:
            start = start_of(file, path)
    except InputError:
        return False
    except OSError:
        return True
    return certain_format(start) is not None or _is_json_line(start)


def _is_json_line(start: bytes) -> bool:
    """Whether the first line is an object, or the beginning of a long one."""
    line, end, _ = start.lstrip(b"\xef\xbb\xbf\r\n").partition(b"\n")
    if not line.startswith(b"{"):
        return False
    if not end:  # a single line, or longer than what was read
        return len(line) > 1
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
