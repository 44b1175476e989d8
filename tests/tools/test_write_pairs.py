"""The page of pairs: asked of the shipped model, unedited."""

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests.schema import DOCUMENT, conform
from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.tools import write_pairs

BEFORE = (
    "Home | About | Contact\n\nThe harbour was built in the nineteenth century to serve the "
    "growing growing trade in timber and wool. It was deepened twice, and a lighthouse was added "
    "at the end of the northern pier. Today most of the ships that call there carry passengers."
)


def test_a_page_has_both_texts_of_each_pair_and_counts_what_was_dropped(tmp_path):
    folder = tmp_path / "classify" / "documents" / "level=high"
    folder.mkdir(parents=True)
    rows = [
        {"id": "a", "text": BEFORE, "url": "https://e.org/a", "level": "high"},
        {"id": "b", "text": "Too short to be asked.", "url": "https://e.org/b", "level": "high"},
    ]
    pq.write_table(conform(pa.Table.from_pylist(rows), DOCUMENT), folder / "00.parquet")
    page = write_pairs.page(tmp_path, 5, EmbeddedEngine(threads=1))
    assert page.startswith("# 1 pairs from the shipped model\n")
    assert f"[The page](https://e.org/a)\n\nBefore:\n\n````text\n{BEFORE}\n````" in page
    after = page.split("After:\n\n````text\n", 1)[1]
    assert after.startswith("The harbour was built in the nineteenth century")
    assert "Of 2 answers, 1 were kept. Dropped:\n\n- 1 for `synthesize.output_too_short`\n" in page
