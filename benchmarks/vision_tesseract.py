"""Debian's tesseract on the pages that `benchmarks/vision.py` kept, beside what the model read.

    python benchmarks/vision_tesseract.py PAGES.tar [--pages N]

Tesseract gets each image three times as large, which is the letter height that it is made for, and
reads it as one block of text (--psm 6). The scores are those of the benchmark. The last line is
JSON.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

from corpusmill.benchmarks.vision_pages import HeldOutPage  # noqa: E402
from corpusmill.benchmarks.vision_reading import score  # noqa: E402
from PIL import Image  # noqa: E402

SCALE = 3


def tesseract(image: bytes) -> str:
    """What tesseract reads."""
    page = Image.open(io.BytesIO(image))
    larger = page.resize((page.width * SCALE, page.height * SCALE), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    larger.save(file, "PNG")
    command = ["tesseract", "-", "-", "--psm", "6", "--dpi", "300"]
    done = subprocess.run(command, input=file.getvalue(), capture_output=True, check=True)
    return done.stdout.decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages")
    parser.add_argument("--pages", dest="count", type=int, default=100, help="of each set")
    options = parser.parse_args()
    sets: dict[str, list[tuple[HeldOutPage, str]]] = {}
    with tarfile.open(options.pages) as tar:
        lines = tar.extractfile("pages.jsonl")
        assert lines is not None
        for line in lines.read().decode().splitlines():
            row = json.loads(line)
            if "question" in row:
                continue  # a chart
            image = tar.extractfile(row["file"])
            assert image is not None
            page = HeldOutPage(image.read(), row["text"], row["font"], row["source"])
            sets.setdefault(row["set"], []).append((page, row["read"]))
    results = {}
    for name, rows in sets.items():
        rows = rows[: options.count]
        pages = [page for page, _ in rows]
        results[name] = {
            "model": score([read for _, read in rows], pages),
            "tesseract": score([tesseract(page.image) for page in pages], pages),
        }
        print(name, json.dumps(results[name]))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
