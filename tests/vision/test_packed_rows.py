"""Images in rows that documents share: none is cut, and none sees another."""

import dataclasses
import io
import random
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.loader import BatchLoader, collate
from corpusmill.trainer.records import read_records
from corpusmill.trainer.rows import PageImage, Piece, join
from corpusmill.trainer.token_shards import IMAGE, LETTERS, catalogue
from corpusmill.trainer.train import train
from corpusmill.vision.build import parts
from corpusmill.vision.config import Tiling, VisionTrainConfig
from corpusmill.vision.flops import most_tiles, row_flops
from corpusmill.vision.letters import LetterHead
from corpusmill.vision.loss import LetterLoss, ReadingLoss
from corpusmill.vision.tiles import ImageTiles, TileReader
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.vision.image_shards import PLACE, document, documents, picture, write_shards

COLUMNS = (IMAGE, *LETTERS)
LENGTH = 80
TWELVE = Tiling(tile_size=28, max_tiles=12, tile_tags=False)  # a token a tile


def config_of(text, vision, **changes):
    values = {
        "model": text,
        "vision": vision,
        "pack": "best_fit",
        "reset_at_documents": True,
        "sequence_length": LENGTH,
        "batch_size": 4,
        "steps": 1,
    }
    return VisionTrainConfig(**{**values, **changes})


def stream_of(shards, length=LENGTH, pack="best_fit", images=COLUMNS):
    return PackedStream(catalogue(shards, length), 3, pack, 3, images=images)


@pytest.fixture
def mixed(tmp_path, vision):
    """(Documents by id, shards of them, their rows in an epoch of best fit)."""
    rows = documents(1, 20, vision)
    shards = write_shards(tmp_path / "pack", rows, vision)
    stream = stream_of(shards)
    return {row["id"]: row for row in rows}, shards, list(map(stream.row, range(stream.epoch_rows)))


def tiles_in(batch) -> ImageTiles:
    assert isinstance(batch.extras, ImageTiles)
    return batch.extras


def labels_in(batch) -> torch.Tensor:
    labels = tiles_in(batch).labels
    assert labels is not None
    return labels


def page_of(row):
    """The image of a document as a loader has it."""
    if row[IMAGE] is None:
        return None
    return PageImage(row[IMAGE], row["letters"], tuple(row["letter_x"]), tuple(row["letter_y"]))


def alone(row):
    """The document on a row of its own, without padding."""
    tokens = np.array(row["tokens"], dtype=np.int32)
    return join([Piece(row["id"], 0, row["n_prompt"], tokens, page_of(row))], len(tokens) - 1)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(0, 10),
    st.integers(0, 99),
)
def test_every_document_is_whole_and_in_one_row_an_epoch(made, spare, seed):
    rng = random.Random(seed)
    rows = {
        f"doc-{i}": document(f"doc-{i}", rng, TWELVE, words + (not image), image)
        for i, (image, words) in enumerate(made)
    }
    length = max(len(row["tokens"]) for row in rows.values()) - 1 + spare
    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(Path(folder), list(rows.values()), TWELVE, shards=1)
        stream = stream_of(shards, length)
        for epoch in range(2):
            seen: Counter[str] = Counter()
            for number in range(stream.epoch_rows):
                row = stream.row(epoch * stream.epoch_rows + number)
                begin = 0
                for span, image in zip(row.documents, row.images, strict=True):
                    wanted, end = rows[span.id], begin + span.span[1]
                    assert span.span == (0, len(wanted["tokens"]))
                    assert row.tokens[begin:end].tolist() == wanted["tokens"]
                    assert image == page_of(wanted)
                    counted = row.loss_mask[begin : end - 1]  # of the targets from its second on
                    prompt = max(1, wanted["n_prompt"])
                    assert counted.tolist() == [i >= prompt for i in range(1, end - begin)]
                    begin = end
                    seen[span.id] += 1
                tiles = int((row.tokens == PLACE).sum()) // TWELVE.tokens_per_tile
                assert tiles <= most_tiles(TWELVE, length, "best_fit")
                assert not row.tokens[begin:].any()
            assert seen == Counter(rows.keys())


def test_rows_hold_several_images_and_texts(mixed):
    rows, _, packed = mixed
    images = [sum(image is not None for image in row.images) for row in packed]
    assert max(images) >= 3
    both = [row for row in packed if {None} < set(row.images)]
    assert both
    padding = [(row.document_ids == len(row.documents)).mean() for row in packed]
    assert np.mean(padding) < 0.2
    alone_in_a_row = sum(LENGTH - len(row["tokens"]) for row in rows.values())
    assert alone_in_a_row / (LENGTH * len(rows)) > 0.5


def gradients(model, total):
    total.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("letter_weight", [0.0, 0.5])
def test_loss_and_gradients_are_those_of_the_documents_alone(
    mixed, model, text, vision, letter_weight
):
    rows, _, packed = mixed
    if letter_weight:
        model.letter_head = LetterHead(vision)
    loss = ReadingLoss(model, config_of(text, vision, letter_weight=letter_weight))
    reader = TileReader(vision, PLACE, with_labels=letter_weight > 0)
    together = loss(collate(packed, read_extras=reader))
    ours = gradients(model, together)
    single = [loss(collate([alone(row)], read_extras=reader)) for row in rows.values()]
    theirs = gradients(model, torch.stack(single).sum())
    assert together.item() == pytest.approx(sum(one.item() for one in single), rel=1e-5)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        if not name.endswith("k_proj.bias"):  # softmax cancels it: its gradient is rounding alone
            assert (ours[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_logits_are_those_of_the_documents_alone(mixed, model, vision):
    rows, _, packed = mixed
    reader = TileReader(vision, PLACE)
    batch = collate(packed, read_extras=reader)
    with torch.no_grad():
        together = model(batch.tokens[:, :-1], batch.document_ids, pixels=tiles_in(batch).pixels)
        for number, row in enumerate(packed):
            begin = 0
            for span in row.documents:
                single = collate([alone(rows[span.id])], read_extras=reader)
                wanted = model(single.tokens, pixels=tiles_in(single).pixels)[0]
                end = min(begin + span.span[1], LENGTH)
                found = together[number, begin:end]
                torch.testing.assert_close(found, wanted[: end - begin], rtol=1e-5, atol=1e-5)
                begin += span.span[1]


def losses_of_documents(model, row, reader):
    """The summed loss of each document in a row."""
    batch = collate([row], read_extras=reader)
    with torch.no_grad():
        logits = model(batch.tokens[:, :-1], batch.document_ids, pixels=tiles_in(batch).pixels)
    each = torch.nn.functional.cross_entropy(logits[0], batch.tokens[0, 1:], reduction="none")
    each = each * batch.loss_mask[0]
    ids = batch.document_ids[0].long()
    # A document's last token is a target where the document is the input before it.
    return torch.zeros(len(row.documents) + 1).index_add_(0, ids, each)[:-1]


def test_another_image_changes_the_loss_of_its_document_alone(mixed, model, vision):
    _, _, packed = mixed
    reader = TileReader(vision, PLACE)
    row = max(packed, key=lambda row: sum(image is not None for image in row.images))
    before = losses_of_documents(model, row, reader)
    for place, image in enumerate(row.images):
        if image is None:
            continue
        size = Image.open(io.BytesIO(image.content)).size
        other = PageImage(picture(random.Random(9), *size))
        images = (*row.images[:place], other, *row.images[place + 1 :])
        after = losses_of_documents(model, dataclasses.replace(row, images=images), reader)
        change = (after - before).abs()
        assert change[place] > 0.01
        change[place] = 0
        assert change.max() < 1e-5  # sums over the row are rounded in another way


def test_labels_follow_their_images(mixed, model, text, vision):
    rows, _, packed = mixed
    model.letter_head = LetterHead(vision)
    reader = TileReader(vision, PLACE, with_labels=True, labels_count=True)
    loss = LetterLoss(model, config_of(text, vision, learns="letters"))
    together = collate(packed, read_extras=reader)
    single = [collate([alone(row)], read_extras=reader) for row in rows.values()]
    assert together.targets == sum(batch.targets for batch in single)
    with torch.no_grad():
        whole = loss(together)
        parts = [loss(batch) for batch in single if len(tiles_in(batch).pixels)]
    assert whole.item() == pytest.approx(sum(part.item() for part in parts), rel=1e-5)
    for number, piece in enumerate(together.micro_batches(1)):
        [again] = collate([packed[number]], read_extras=reader).micro_batches(1)
        assert torch.equal(tiles_in(piece).pixels, tiles_in(again).pixels)
        assert torch.equal(labels_in(piece), labels_in(again))


def test_a_row_without_documents_has_no_tiles(vision):
    reader = TileReader(vision, PLACE, with_labels=True)
    tiles = reader([join((), LENGTH)])
    assert tiles.labels is not None
    assert (len(tiles.pixels), len(tiles.labels), tiles.counts) == (0, 0, (0,))


def test_an_image_of_other_tiles_is_named_wherever_it_stands_in_its_row(mixed, vision):
    _, _, packed = mixed
    row = max(packed, key=lambda row: len(row.images))
    sizes = [image and Image.open(io.BytesIO(image.content)).size for image in row.images]
    tile = (vision.tile_size, vision.tile_size)
    place = max(number for number, size in enumerate(sizes) if size not in (None, tile))
    images = (*row.images[:place], PageImage(picture(random.Random(0), *tile)))
    images += row.images[place + 1 :]
    with pytest.raises(CorpusmillError, match=f"document {row.documents[place].id} has"):
        TileReader(vision, PLACE)([dataclasses.replace(row, images=images)])


def test_a_process_makes_the_batches_of_a_thread(mixed, vision):
    _, shards, _ = mixed
    made = []
    for processes in (0, 1):
        reader = TileReader(vision, PLACE, with_labels=True)
        loader = BatchLoader(stream_of(shards), 4, 1, 6, read_extras=reader, processes=processes)
        with loader as batches:
            made.append(list(batches))
    for one, two in zip(*made, strict=True):
        assert torch.equal(one.tokens, two.tokens)
        assert torch.equal(tiles_in(one).pixels, tiles_in(two).pixels)
        assert torch.equal(labels_in(one), labels_in(two))
        assert tiles_in(one).counts == tiles_in(two).counts


def test_ranks_share_the_rows_of_one(mixed, vision):
    _, shards, _ = mixed
    reader = TileReader(vision, PLACE)
    loaders = [
        BatchLoader(stream_of(shards), 4, 0, 3, rank=rank, ranks=ranks, read_extras=reader)
        for rank, ranks in ((0, 1), (0, 2), (1, 2))
    ]
    for whole, even, odd in zip(*loaders, strict=True):
        rows = [row for pair in zip(even.tokens, odd.tokens, strict=True) for row in pair]
        assert torch.equal(torch.stack(rows), whole.tokens)
        halves = [part.extras.split(1) for part in (even, odd)]
        tiles = [tile.pixels for pair in zip(*halves, strict=True) for tile in pair]
        assert torch.equal(torch.cat(tiles), tiles_in(whole).pixels)


def test_documents_that_no_row_holds_are_counted(tmp_path, vision):
    rows = [*documents(1, 10, vision), document("long", random.Random(0), vision, 90, False)]
    shards = write_shards(tmp_path, rows, vision)
    for pack in ("pad", "best_fit"):
        with pytest.raises(CorpusmillError, match="1 of 11 documents have more than 81 tokens"):
            stream_of(shards, pack=pack)
    assert stream_of(shards, length=89).epoch_rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pack": "concat"}, "best_fit"),
        ({"reset_at_documents": False}, "reset_at_documents"),
    ],
)
def test_settings_that_would_cut_or_mix_images_are_refused(text, vision, changes, message):
    with pytest.raises(CorpusmillError, match=message):
        config_of(text, vision, **changes)
    config_of(text, vision, reset_at_documents=False, pack="pad")
    config_of(text, vision, reset_at_documents=False, learns="letters")


@pytest.mark.parametrize("learns", ["all", "projector", "letters"])
def test_a_step_costs_what_its_tiles_and_tokens_cost(mixed, model, text, vision, learns):
    _, _, packed = mixed
    config = config_of(text, vision, learns=learns)
    kind = LetterLoss if learns == "letters" else ReadingLoss
    batch = collate(packed, read_extras=TileReader(vision, PLACE))
    tiles = sum(tiles_in(batch).counts)
    found = kind(model, config).flops(batch)
    none, one = (row_flops(vision, text, LENGTH, count, learns) for count in (0, 1))
    assert found == pytest.approx(len(packed) * none + tiles * (one - none))
    weighed = config_of(text, vision, letter_weight=0.5)
    assert ReadingLoss(model, weighed).flops(batch) > ReadingLoss(model, config).flops(batch)


def test_the_log_counts_the_work_of_each_steps_tiles(mixed, text, vision, tmp_path, monkeypatch):
    monkeypatch.setattr("corpusmill.trainer.records.peak_flops", lambda device: 1e7)
    _, shards, _ = mixed
    config = config_of(text, vision, steps=4, warmup_steps=0, log_every=1, threads=1, device="cpu")
    result = train(config, shards, tmp_path / "run", parts=parts(config))
    stream = PackedStream(catalogue(shards, LENGTH), config.seed, "best_fit", config.shuffle_window)
    tokens = config.batch_size * LENGTH
    for step, record in enumerate(read_records(result.log)):
        rows = [stream.row(4 * step + place) for place in range(4)]
        tiles = sum(int((row.tokens == PLACE).sum()) for row in rows) / vision.tokens_per_tile
        work = 4 * row_flops(vision, text, LENGTH, tiles / 4, "all")
        assert record.mfu == pytest.approx(record.tokens_per_second / tokens * work / 1e7, rel=1e-3)


def test_a_graphs_memory_takes_rows_with_more_and_fewer_tiles(mixed, model, text, vision):
    _, _, packed = mixed
    loss = ReadingLoss(model, config_of(text, vision))
    reader = TileReader(vision, PLACE)
    batches = [collate(packed[i : i + 2], read_extras=reader) for i in range(len(packed) - 1)]
    batches.sort(key=lambda batch: len(tiles_in(batch).pixels))
    memory = batches[-1].with_room()
    assert len(tiles_in(batches[0]).pixels) < len(tiles_in(batches[-1]).pixels)
    with torch.no_grad():
        for batch in batches:
            assert memory.take(batch)
            assert loss(memory).item() == pytest.approx(loss(batch).item(), rel=1e-5)
