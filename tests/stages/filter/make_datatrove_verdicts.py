"""Record which of 200 shipped texts datatrove's filters drop.

Run `python -m tests.stages.filter.make_datatrove_verdicts`. It needs datatrove and takes a few
minutes. datatrove reads the texts without the marks of light Markdown, which are no words and no
lines here. Each rule runs alone on each text, as `benchmarks/filtering.py` measures agreement.
`test_datatrove_verdicts.py` compares our families with the record.
"""

import importlib.metadata
import importlib.util
import io
import json
from collections.abc import Iterator
from pathlib import Path

import zstandard
from corpusmill.manifests.package_data import package_file

from tests.stages.filter.measure.plain_structure import without_marks

PATH = Path(__file__).with_name("datatrove_verdicts.json")
SAMPLES = {  # sample -> how many of its texts
    "code/permissive": 50,
    "math/word_problems": 20,
    "math/open_logic": 30,
    "reference/documentation": 40,
    "reference/textbooks": 20,
    "reference/books": 20,
    "academic/abstracts": 20,
}
LONGEST = 4000  # characters of a text, since datatrove reads 15 kB a second


def texts() -> dict[str, str]:
    """Sample and row -> the text, cut at a line end after about LONGEST characters."""
    found: dict[str, str] = {}
    for sample, wanted in SAMPLES.items():
        rows = list(_rows(sample))
        for row in range(0, len(rows), max(1, len(rows) // wanted)):
            if sum(name.startswith(sample) for name in found) < wanted:
                end = rows[row].find("\n", LONGEST)
                found[f"{sample}:{row}"] = rows[row] if end < 0 else rows[row][:end]
    return found


def _rows(sample: str) -> Iterator[str]:
    data = package_file("samples", f"{sample}.jsonl.zst").read_bytes()
    stream = zstandard.ZstdDecompressor().stream_reader(data)
    for line in io.TextIOWrapper(stream, encoding="utf-8"):
        yield json.loads(line)["text"]


def recorded() -> dict[str, list[str]]:
    """Sample and row -> the codes of datatrove's rules that drop the text."""
    path = Path(__file__).parents[3] / "benchmarks" / "filtering.py"
    spec = importlib.util.spec_from_file_location("filtering", path)
    assert spec
    assert spec.loader
    filtering = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filtering)
    named = texts()
    verdicts = filtering.datatrove_verdicts(list(map(without_marks, named.values())))
    return {
        name: [code for code, drops in verdicts.items() if drops[place]]
        for place, name in enumerate(named)
    }


if __name__ == "__main__":
    version = importlib.metadata.version("datatrove")
    lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in recorded().items())
    PATH.write_text(f'{{"datatrove": "{version}", "drops": {{\n{lines}\n}}}}\n')
