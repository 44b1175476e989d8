"""What a run read is shown as it is, in the page that it is written into."""

import io
import sys

import numpy as np
from corpusmill.benchmarks import vision_twenty
from corpusmill.benchmarks.vision_charts import HeldOutChart
from corpusmill.benchmarks.vision_pages import HeldOutPage
from corpusmill.benchmarks.vision_reading import keep_pictures
from PIL import Image


def picture(level):
    file = io.BytesIO()
    Image.new("L", (20, 30), level).save(file, "JPEG")
    return file.getvalue()


def test_the_part_between_the_marks_is_replaced(tmp_path, monkeypatch):
    page = HeldOutPage(picture(10), "a | b\n`c`", "Lato", "web")
    chart = HeldOutChart(picture(200), "7", "Lora", "web", "How many?", "bars", ("7", "8"))
    keep_pictures([(page, "a1b"), (chart, "")], tmp_path / "twenty.tar")
    written = tmp_path / "vision.md"
    written.write_text(f"before\n{vision_twenty.BEGIN}old\n{vision_twenty.END}after\n")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "twenty.tar"), "--page", str(written)])
    for _ in range(2):  # a second run finds the marks again
        vision_twenty.main()
        text = written.read_text()
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "| 1 | Lato | `` a \\| b⏎`c` `` | `a1b` |" in text
        assert "| 2 | Lora | `How many?` `7` | (nothing) |" in text
        assert "old" not in text
    levels = np.asarray(Image.open(tmp_path / "vision-twenty.png"), dtype=int)
    assert abs(levels[30, 10] - 10) < 3
    assert abs(levels[30, 34] - 200) < 3
