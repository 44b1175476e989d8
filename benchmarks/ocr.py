"""From page images back to text: `ocr` with tesseract behind a server of the OpenAI protocol.

    python benchmarks/ocr.py [--documents FILE] [--pages 40] [--columns 2] [--cut page]

`render` draws pages of A4 at 150 dots an inch. They become scans: PDF files of four pages, without
a text layer. `ocr` reads them from a server in this process that asks tesseract about each image.
Beside it, tesseract reads the very images that were drawn. So the difference is what rendering,
cutting and joining cost. `look_cpu_seconds_a_page` is for rendering, cutting and encoding one page,
timed in this process. Scores are those of `benchmarks/vision.py`. The last line is JSON.
"""

import argparse
import base64
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

from corpusmill.benchmarks.vision_pages import HeldOutPage  # noqa: E402
from corpusmill.benchmarks.vision_reading import score  # noqa: E402
from corpusmill.manifests.parquet_files import read_parquet  # noqa: E402
from corpusmill.manifests.storage import artifact_of  # noqa: E402
from corpusmill.pipeline.recipe import Step  # noqa: E402
from corpusmill.pipeline.run import run_step  # noqa: E402
from corpusmill.pipeline.runner import InlineRunner  # noqa: E402
from corpusmill.stages.ocr.page_images import Cutting, Looking, look  # noqa: E402
from corpusmill.stages.readers import ReaderSettings  # noqa: E402
from corpusmill.stages.readers.documents import read_documents  # noqa: E402
from corpusmill.stages.render.look import Paper  # noqa: E402
from corpusmill.stages.render.stage import Render, pages  # noqa: E402
from PIL import Image  # noqa: E402

PAPER = Paper(width=1240, height=1754, min_font_size=22, max_font_size=30)
DPI, PAGES_A_FILE = 150, 4


class Tesseract(BaseHTTPRequestHandler):
    """Answers a chat about an image with what tesseract reads there."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        parts = body["messages"][-1]["content"]
        url = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
        Tesseract.asked += 1
        text = tesseract(base64.b64decode(url.partition(",")[2]), "6" if CUT != "page" else "3")
        choice = {"message": {"content": text}, "finish_reason": "stop"}
        data = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


CUT = "page"


def tesseract(image: bytes, layout: str) -> str:
    """What tesseract reads. layout: its page segmentation mode; 3 finds columns, 6 is one block."""
    command = ["tesseract", "-", "-", "--psm", layout, "--dpi", str(DPI)]
    return subprocess.run(command, input=image, capture_output=True, check=True).stdout.decode()


def drawn(documents: str, columns: int) -> Iterator[HeldOutPage]:
    """Pages of the documents, one of each."""
    paper = PAPER.model_copy(update={"max_columns": columns})
    settings = Render(paper=paper, max_pages=1, min_characters=400)
    for table in read_documents(artifact_of(documents), ReaderSettings(), "benchmark"):
        for row in table.to_pylist():
            for page in pages(row["id"], row["text"] or "", settings, settings.faces()):
                yield HeldOutPage(page.image, page.text, page.font, row["source"])


def look_seconds(folder: Path, cut: Cutting) -> float:
    """Processor seconds for a look at every page. `ocr` itself looks in a child process."""
    looking = Looking(cut, min_deviation=4, min_layer_characters=100, max_pages=PAGES_A_FILE)
    files = [path.read_bytes() for path in sorted(folder.glob("*.pdf"))]
    look(files[0], True, 0, looking)  # it loads libraries
    began = time.process_time()
    for content in files:
        for number in range(look(content, True, None, looking)["pages"]):
            look(content, True, number, looking)
    return time.process_time() - began


def main() -> None:
    global CUT
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", default=str(ROOT / "samples/reference/textbooks.jsonl.zst"))
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--cut", default="page", choices=["page", "blocks", "lines"])
    options = parser.parse_args()
    CUT = options.cut
    made = list(islice(drawn(options.documents, options.columns), options.pages))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tesseract)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(made), PAGES_A_FILE):
            group = made[start : start + PAGES_A_FILE]
            first, *others = (Image.open(io.BytesIO(page.image)) for page in group)
            path = Path(folder, f"{start // PAGES_A_FILE:03}.pdf")
            first.save(path, save_all=True, append_images=others, resolution=DPI, quality=90)
        engine = {
            "kind": "openai",
            "url": f"http://127.0.0.1:{server.server_address[1]}/v1",
            "model": "tesseract",
            "in_flight": 2,
        }
        cut = {"by": options.cut, "dpi": DPI, "longest_side": 2000}
        settings = {"engine": engine, "cut": cut, "min_read_share": 0}
        run_step(Step("ocr", "ocr", (), settings), (folder,), f"{folder}-out", InlineRunner())
        took = look_seconds(Path(folder), Cutting(**cut))
        rows = [
            row
            for path in sorted(Path(f"{folder}-out/documents").glob("*.parquet"))
            for table in read_parquet(str(path))
            for row in table.to_pylist()
        ]
    server.shutdown()
    found: dict[int, str] = {}
    for row in rows:
        file = int(Path(row["origin"]["file"]).stem)
        for piece in row["pieces"]:
            place = PAGES_A_FILE * file + piece["page"] - 1
            found[place] = found.get(place, "") + row["text"][piece["start"] : piece["end"]] + "\n"
    result = {
        "cut": options.cut,
        "requests": Tesseract.asked,
        "through_ocr": score([found.get(place, "") for place in range(len(made))], made),
        "tesseract_alone": score([tesseract(page.image, "3") for page in made], made),
        "look_cpu_seconds_a_page": round(took / len(made), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
