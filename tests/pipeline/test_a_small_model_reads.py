"""A model of 0.1 million parameters reads words that it never saw, after seconds on a CPU.

Seven letters, one font, words of one to three letters at changing places. The same steps as for a
large model: pages packed, the encoder warmed up by their letters, then everything.
"""

import io
import itertools
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.model_files import local_path
from corpusmill.manifests.schema import DOCUMENT, IMAGE, LETTERS, extended
from corpusmill.stages.render.fonts import advance, sized
from corpusmill.tools.error_rate import edit_distance
from corpusmill.vision.reading import PageReader
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models

from tests.stages.small_corpus import run

FONT = local_path("package:models/fonts/Lato-Regular.ttf")
SIDE, SIZE = 28, 13  # pixels: of a page, and of a letter
ALPHABET = "acehmtx"
WORDS = ["".join(word) for size in (1, 2, 3) for word in itertools.product(ALPHABET, repeat=size)]
HELD_OUT = 40
TILING = {"tile_size": SIDE, "patch_size": 7, "max_tiles": 1, "tile_tags": False}
TRAINING = {
    "model": {
        "pattern": "M*-",
        "hidden_size": 64,
        "ffn_size": 128,
        "attention_heads": 4,
        "key_value_heads": 2,
        "head_dim": 16,
        "mamba_heads": 2,
        "mamba_head_dim": 32,
        "mamba_groups": 1,
        "mamba_state": 16,
        "vocab_size": 16,
        "chunk_size": 16,
    },
    "vision": {
        **TILING,
        "hidden_size": 64,
        "layers": 2,
        "heads": 4,
        "ffn_size": 128,
        "letter_slots": 1,
    },
    "pack": "pad",
    "sequence_length": 12,
    "batch_size": 24,
    "warmup_steps": 20,
    "learning_rate": 5e-3,
    "weight_decay": 0.05,
    "threads": 1,
    "device": "cpu",
}


def page(word, rng):
    """(PNG file, letters, their x, their y) of a word somewhere on a white page."""
    x, y = rng.randint(0, 5), rng.choice((-2, 12))
    picture = Image.new("L", (SIDE, SIDE), 255)
    ImageDraw.Draw(picture).text((x, y), word, font=sized(FONT, SIZE), fill=0)
    places = []
    for letter in word:
        width = advance(FONT, SIZE, letter)
        places.append(round(x + width / 2))
        x += width
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue(), word, places, [y + 9] * len(word)


@pytest.fixture(scope="module")
def words():
    """(training, held out)."""
    fits = [
        word for word in WORDS if sum(advance(FONT, SIZE, letter) for letter in word) <= SIDE - 6
    ]
    random.Random(0).shuffle(fits)
    return fits[HELD_OUT:], fits[:HELD_OUT]


@pytest.fixture(scope="module")
def packed(tmp_path_factory, words):
    """Every training word on 12 pages."""
    folder = tmp_path_factory.mktemp("reads")
    letters = {letter: number for number, letter in enumerate(ALPHABET, start=2)}
    tokenizer = Tokenizer(models.BPE(vocab={"<s>": 0, "</s>": 1, **letters}, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    (folder / "tokenizer").mkdir()
    tokenizer.save(str(folder / "tokenizer/tokenizer.json"))
    (folder / "tokenizer/tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    rng = random.Random(1)
    names = ("image", "letters", "letter_x", "letter_y")
    rows = [
        {"id": f"{word}/{number}", "text": word, **dict(zip(names, page(word, rng), strict=True))}
        for word in words[0]
        for number in range(12)
    ]
    table = pa.Table.from_pylist(rows, schema=extended(IMAGE, *LETTERS, of=DOCUMENT))
    pq.write_table(table, folder / "pages.parquet")
    settings = {"tokenizer": str(folder / "tokenizer"), "images": TILING}
    run("pack", settings, folder / "pack", str(folder / "pages.parquet"))
    return folder


def error_rate(read, words):
    edits = sum(edit_distance(read[number], word) for number, word in enumerate(words))
    return edits / sum(map(len, words))


def test_words_that_it_never_saw(packed, words):
    letters = packed / "letters"
    run("train", {**TRAINING, "learns": "letters", "steps": 150}, letters, str(packed / "pack"))
    everything = {
        **TRAINING,
        "letter_weight": 0.2,
        "init_vision_from": str(letters / "checkpoint"),
        "steps": 340,
    }
    run("train", everything, packed / "reader", str(packed / "pack"))
    reader = PageReader.load(packed / "reader/checkpoint", packed / "pack/tokenizer")
    unseen = words[1]
    rng = random.Random(2)
    read = dict(reader.read([page(word, rng)[0] for word in unseen], 6))
    blank = dict(reader.read([page("", rng)[0] for _ in unseen], 6))
    assert error_rate(read, unseen) < 0.2
    assert error_rate(blank, unseen) > 0.6
