"""Check what a benchmark needs besides corpusmill: packages of its peers, and data.

The check comes before anything is measured.
"""

import importlib.util
import sys
from pathlib import Path


def require(*modules: str) -> None:
    """If modules of peers are missing, exit with a line that says how to get them."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"peers are not installed: {', '.join(missing)}; pip install -e '.[bench]'")


def require_data(folder: Path, file: str, where_from: str) -> None:
    """If no file in `folder` matches the glob `file`, exit with a line about its source."""
    if not any(folder.glob(file)):
        sys.exit(f"{folder} has no {file}; {where_from}, and name the folder with --data")


WCXB = (
    "get the pages of the web-content-extraction-benchmark (WCXB, CC-BY-4.0 annotations), "
    "write them as web/crawl-*.warc.gz with web/ground_truth.jsonl.zst as tools/gold_pages.py "
    "describes"
)
