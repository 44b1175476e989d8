"""Which files of a folder are data. The others are left out when the user names the folder.

Folders of data also hold READMEs, licences, tables, programs and checksums. These are no documents.
A file is data if its name says so, or if it begins as only data does.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.stages.readers import FORMAT_SUFFIXES, certain_format
from corpusmill.stages.readers.compression import start_of, without_suffixes
from corpusmill.stages.readers.json_array import is_array

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
_SCANS = (".pdf", ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
# Why a file is left out.
BESIDE_DATA: Final = "tools write such files beside data"
ABOUT: Final = "it is about the folder"
OTHER_JSON: Final = "it is JSON, but neither one object a line nor an array of objects"
SCAN: Final = "it is a PDF file or a picture: `ocr` reads it"
UNKNOWN: Final = "neither its name nor its content is that of a format that is read"


class Sorted(NamedTuple):
    """Files that are data, and the others, each with the reason."""

    data: list[str]
    others: dict[str, str]


def sorted_out(paths: Sequence[str]) -> Sorted:
    """The files of a folder, sorted by what they are."""
    found = Sorted([], {})
    for path in paths:
        if reason := why_left_out(path):
            found.others[path] = reason
        else:
            found.data.append(path)
    return found


def why_left_out(path: str) -> str:
    """Why a file is no data, by its name or else by its content. Empty if it is data."""
    own = path.rsplit("/", 1)[-1]
    if own.startswith("_"):  # Spark and Hive
        return BESIDE_DATA
    name = without_suffixes(path)
    if name.endswith(_SURE):
        return ""
    if name.split(".", 1)[0].replace("-", "_") in _ABOUT or name in _MADE_BY_TOOLS:
        return ABOUT
    if name.endswith(FORMAT_SUFFIXES) and not name.endswith(".json"):
        return ""
    if _begins_as_data(path):
        return ""
    if name.endswith(".json"):
        return OTHER_JSON
    return SCAN if name.endswith(_SCANS) else UNKNOWN


def names_of(paths: Iterable[str]) -> str:
    """The files' names, for a message: some of them, and how many more there are."""
    paths = list(paths)
    names = [path.rsplit("/", 1)[-1] for path in paths[:_MOST_NAMED]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _begins_as_data(path: str) -> bool:
    """Whether the file begins as WARC, ARC, Parquet, JSON lines or a JSON array of objects do.

    A file that cannot be read counts as data. The error then shows when it is read.
    """
    try:
        with storage.open_read(path) as file:
            start = start_of(file, path)
    except InputError:
        return False
    except OSError:
        return True
    return certain_format(start) is not None or _is_json_line(start) or is_array(start)


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
