"""From crawl to filtered text: extraction, filters and the whole stage, each against its peers.

    python benchmarks/curation.py [--data FOLDER] [--quick]

Peers are measured in the same run. The benchmark prints tables, and last a line with
one JSON object: `f1.mixed.NAME` and `pages_s.NAME` (`benchmarks/extraction.py`), `filter_mb_s.NAME`
and `agreement_min` (`benchmarks/filtering.py`), `stage_mb_s.NAME` and `peak_mb`
(`benchmarks/whole_stage.py`), and the other figures of those files. One core, CPU time, medians. It
takes about ten minutes on two slow cores. --quick takes fewer documents and a smaller file.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.filtering import measure_filtering  # noqa: E402
from benchmarks.whole_stage import FULL, PAGES, QUICK, measure_whole_stage  # noqa: E402

KEYS = (  # these come first in the last line, in this order
    *(f"f1.mixed.{name}" for name in ("corpusmill", "trafilatura", "resiliparse", "justext")),
    *(f"pages_s.{name}" for name in ("corpusmill", "trafilatura", "resiliparse", "justext")),
    *("filter_mb_s.corpusmill", "filter_mb_s.datatrove", "agreement_min"),
    *("stage_mb_s.corpusmill", "stage_mb_s.datatrove", "peak_mb"),
)


def measure_curation(data: Path, quick: bool) -> dict[str, float]:
    from benchmarks.extraction import measure_extraction

    found = measure_extraction(data, 100 if quick else None)
    found |= measure_filtering(data, 150 if quick else None)
    found |= measure_whole_stage(data, 40 if quick else PAGES, QUICK if quick else FULL)
    return {key: found[key] for key in KEYS} | found


def table(found: dict[str, float]) -> str:
    """Measures by name: a row for each measure, a column for each system."""
    measures = dict.fromkeys(key.partition(".")[0] for key in KEYS)
    lines = []
    for measure in measures:
        systems = {
            key.partition(".")[2]: value
            for key, value in found.items()
            if key.partition(".")[0] == measure and key in KEYS
        }
        lines.append(
            f"{measure:14}"
            + "".join(
                f"{system + ' ' if system else ''}{value:<12g}" for system, value in systems.items()
            )
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--quick", action="store_true", help="fewer documents, a smaller file")
    arguments = parser.parse_args()
    found = measure_curation(arguments.data, arguments.quick)
    print(table(found))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
