"""Show in docs/vision.md what a run of `benchmarks/vision.py` read, unedited.

    python benchmarks/vision_twenty.py OUT/twenty.tar [--page docs/vision.md]

All images of the tar go on one sheet beside the page, `PAGE-twenty.png`, numbered in the order of
the tar. A table of what stands there and what was read replaces what is between the two marks in
the page.
"""

import argparse
import io
import json
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

from PIL import Image, ImageDraw  # noqa: E402

BEGIN, END = "<!-- twenty: begin -->\n", "<!-- twenty: end -->\n"
COLUMNS = 5
LINE = 14  # pixels, for the number above each image


def read_tar(path: Path) -> tuple[list[Image.Image], list[dict[str, Any]]]:
    """The images and what is known of each, in the same order."""
    with tarfile.open(path) as tar:
        content = {entry.name: tar.extractfile(entry) for entry in tar}
        found = {name: file.read() for name, file in content.items() if file is not None}
    records = [json.loads(line) for line in found["read.jsonl"].decode().splitlines()]
    return [Image.open(io.BytesIO(found[record["file"]])) for record in records], records


def sheet(images: Sequence[Image.Image]) -> Image.Image:
    """All images of one size in rows of `COLUMNS`, each below its number."""
    width, height = images[0].width + 4, images[0].height + LINE + 4
    rows = -(-len(images) // COLUMNS)
    mode = "RGB" if any(image.mode == "RGB" for image in images) else "L"
    made = Image.new(mode, (COLUMNS * width, rows * height), "white")
    pen = ImageDraw.Draw(made)
    for number, image in enumerate(images):
        x, y = number % COLUMNS * width + 2, number // COLUMNS * height
        pen.text((x, y), str(number + 1), fill="black")
        made.paste(image.convert(mode), (x, y + LINE))
    return made


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each image. What was asked stands before the answer."""
    lines = ["| | font | on the image | read |", "|---|---|---|---|"]
    for number, record in enumerate(records, start=1):
        asked = f"{code(record['question'])} " if "question" in record else ""
        cells = (record["font"], asked + code(record["text"]), code(record["read"]))
        lines.append(f"| {number} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """The text as code in a table; a line end is a return sign."""
    if not text.strip():
        return "(nothing)"
    text = text.replace("\n", "⏎").replace("|", "\\|")
    mark = "``" if "`" in text else "`"
    return f"{mark} {text} {mark}" if "`" in text else f"{mark}{text}{mark}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tar", type=Path)
    parser.add_argument("--page", type=Path, default=ROOT / "docs/vision.md")
    options = parser.parse_args()
    images, records = read_tar(options.tar)
    picture = options.page.with_name(f"{options.page.stem}-twenty.png")
    sheet(images).save(picture, "PNG", optimize=True)
    page = options.page.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    shown = f"![Held-out images in fonts that the model never saw]({picture.name})\n\n"
    filled = f"{before}{BEGIN}{shown}{table(records)}{END}{after}"
    options.page.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
