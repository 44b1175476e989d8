"""From documents to a model that reads images: every stage, in the user's own terms."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.schema import DOCUMENT, IMAGE
from corpusmill.trainer import checkpoint
from corpusmill.trainer.export import write_model
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.vision.build import load_export, load_model
from corpusmill.vision.letters import letter_loss, patch_labels
from corpusmill.vision.pixels import open_image, tiles
from corpusmill.vision.reading import PageReader
from PIL import Image
from tokenizers import Tokenizer

from tests.pipeline.small_reader import MODEL, TILING, VISION
from tests.stages.small_corpus import documents, rows_of, run, small_tokenizer, write_shard

TRAINING = {
    "model": MODEL,
    "vision": VISION,
    "pack": "pad",
    "sequence_length": 160,
    "batch_size": 8,
    "warmup_steps": 1,
    "learning_rate": 3e-3,
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Pages of 40 documents, drawn and packed."""
    folder = tmp_path_factory.mktemp("vision")
    path = write_shard(folder / "in/00000.parquet", documents("doc", 40))
    paper = {
        "width": 112,
        "height": 112,
        "min_font_size": 12,
        "max_font_size": 14,
        "max_rotation": 0,
        "max_noise": 0,
        "max_blur": 0,
    }
    run("render", {"paper": paper, "max_pages": 1}, folder / "render", path)
    tokenizer = small_tokenizer(folder / "tokenizer")
    run("pack", {"tokenizer": tokenizer, "images": TILING}, folder / "pack", f"{folder}/render")
    return folder


def train(packed, name, **settings):
    output = packed / name
    run("train", {**TRAINING, **settings}, output, str(packed / "pack"))
    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return output, [record["loss"] for record in log]


def test_rows_begin_with_the_tokens_of_their_image(packed):
    rows = rows_of(packed / "pack")
    assert rows
    record = json.loads((packed / "pack/packing.json").read_text())
    place = record["tokenizer"]["vocabulary_size"] - 2  # <img>, </img>, <IMG_CONTEXT>, <video>
    for row in rows:
        assert row["tokens"][1:17] == [place] * 16  # 8 x 8 patches, joined two by two
        assert row["n_prompt"] == 18
        assert row["image"]
        assert len(row["letters"]) == len(row["letter_x"])


def test_the_three_phases_and_the_export(packed):
    letters, losses = train(packed, "letters", steps=30, learns="letters", learning_rate=1e-2)
    assert losses[-1] < 0.75 * losses[0]
    everything, losses = train(
        packed, "everything", steps=12, init_vision_from=str(letters / "checkpoint")
    )
    assert losses[-1] < losses[0]
    warm, _ = load_model(letters / "checkpoint")
    first = pq.read_table(next((packed / "pack/documents").glob("*.parquet"))).to_pylist()[0]
    assert first["image"]
    tokenizer = str(packed / "pack/tokenizer")
    run(
        "export",
        {"tokenizer": tokenizer, "dtype": "float32"},
        packed / "export",
        str(everything),
    )
    again, _ = train(
        packed, "again", steps=1, learns="projector", init_vision_from=str(packed / "export")
    )
    exported, config = load_model(everything / "checkpoint")
    projector, _ = load_model(again / "checkpoint")
    for name, parameter in exported.named_parameters():
        same = torch.equal(parameter, dict(projector.named_parameters())[name])
        assert same == (not name.startswith("multi_modal_projector")), name
    assert config.learns == "all"
    assert warm.image_token == exported.image_token
    assert verify(str(packed)).problems == []


def test_everything_learns_with_the_language_model_in_8_bits(packed):
    settings = {"steps": 6, "model": {**MODEL, "mamba_heads": 16, "mamba_head_dim": 4}}
    _, plain = train(packed, "plain-16", **settings)
    _, rounded = train(packed, "in-8", **settings, precision="fp8", fp8_plain_layers=0)
    assert rounded != plain
    assert rounded == pytest.approx(plain, rel=0.02)
    assert rounded[-1] < rounded[0]


def test_an_interrupted_run_has_the_same_weights(packed, tmp_path):
    from corpusmill.manifests.settings import build_settings
    from corpusmill.trainer.train import train as train_model
    from corpusmill.vision.build import parts
    from corpusmill.vision.config import VisionTrainConfig

    shards = sorted((packed / "pack/documents").glob("*.parquet"))
    config = build_settings(VisionTrainConfig, {**TRAINING, "steps": 4, "checkpoint_every": 2})
    whole = train_model(config, shards, tmp_path / "whole", parts=parts(config))

    class Killed(Exception):
        pass

    def kill(record):
        if record.step == 3:
            raise Killed

    with pytest.raises(Killed):
        train_model(
            config.model_copy(update={"log_every": 1}),
            shards,
            tmp_path / "cut",
            kill,
            parts(config),
        )
    resumed = train_model(config, shards, tmp_path / "cut", parts=parts(config))
    weights = [(result.checkpoint / checkpoint.WEIGHTS).read_bytes() for result in (whole, resumed)]
    assert weights[0] == weights[1]


def test_text_among_the_images_lets_every_phase_run(packed, tmp_path):
    """Whole batches have no image then, and nothing that learns gets a gradient."""
    text = write_shard(tmp_path / "in/00000.parquet", documents("plain", 30))
    settings = {"tokenizer": str(packed / "tokenizer"), "images": TILING}
    run("pack", {**settings, "max_document_tokens": 160}, tmp_path / "pack", text)
    for learns in ("letters", "projector", "all"):
        training = {**TRAINING, "learns": learns, "steps": 2, "loader_processes": 1}
        run("train", training, tmp_path / learns, str(tmp_path / "pack"))
        log = (tmp_path / learns / "log.jsonl").read_text().splitlines()
        norms = [json.loads(line)["gradient_norm"] for line in log]
        assert (norms == [0.0, 0.0]) == (learns != "all")


def picture(size, kind="PNG", mode="RGB", **settings):
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **settings)
    return file.getvalue()


def test_bad_images_end_with_their_reason_and_the_others_keep_their_text(packed, tmp_path):
    good = picture((112, 112))
    images = {
        "good": good,
        "truncated": picture((500, 500), "JPEG")[:-400],
        "bomb": picture((15_000, 10_000), mode="1"),
        "thin": picture((1, 30_000)),
        "no image": b"<html>",
        "cmyk": picture((112, 112), "JPEG", "CMYK"),
        "moving": picture(
            (112, 112), "GIF", save_all=True, append_images=[Image.new("RGB", (112, 112), "red")]
        ),
        "tags": good,
        "without": None,
    }
    rows = [
        {**row, "id": name, "text": "<img><IMG_CONTEXT></img>" if name == "tags" else name}
        for row, name in zip(documents("doc", len(images)), images, strict=True)
    ]
    table = pa.Table.from_pylist(rows, DOCUMENT).append_column(
        IMAGE, pa.array(list(images.values()), IMAGE.type)
    )
    pq.write_table(table, tmp_path / "images.parquet")
    settings = {"tokenizer": str(packed / "tokenizer"), "images": TILING}
    run("pack", settings, tmp_path / "pack", str(tmp_path / "images.parquet"))
    reasons = {row["id"]: row["reason"] for row in rows_of(tmp_path / "pack", "excluded")}
    assert reasons == {
        "truncated": "image.truncated",
        "bomb": "image.too_large",
        "thin": "image.too_thin",
        "no image": "image.unreadable",
        "moving": "image.animated",
    }
    tokenizer = Tokenizer.from_file(str(tmp_path / "pack/tokenizer/tokenizer.json"))
    place = tokenizer.token_to_id("<IMG_CONTEXT>")
    for row in rows_of(tmp_path / "pack"):
        assert row["image"] == images[row["id"]]
        assert row["tokens"].count(place) == (0 if row["image"] is None else 16)
        wanted = "<img><IMG_CONTEXT></img>" if row["id"] == "tags" else row["id"]
        behind = row["tokens"][row["n_prompt"] : -1]
        assert tokenizer.decode(behind, skip_special_tokens=False) == wanted


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pack": "concat"}, "pack to best_fit"),
        ({"pack": "best_fit"}, "reset_at_documents"),
        ({"sequence_length": 20}, "sequence_length"),
        ({"vision": {**VISION, "tile_size": 140}}, "tile_size is 112 there and 140 here"),
        ({"learns": "letters", "letter_weight": 0.1}, "letter_weight"),
    ],
)
def test_settings_that_do_not_fit_the_images_are_named(packed, tmp_path, settings, message):
    with pytest.raises(CorpusmillError, match=message):
        run(
            "train",
            {**TRAINING, "steps": 1, **settings},
            tmp_path / "train",
            str(packed / "pack"),
        )


def test_a_warm_up_gives_its_encoder_alone(packed, tmp_path):
    """Its language model never learnt. It must not replace one that did."""
    text = tmp_path / "text"
    path = write_shard(tmp_path / "in/00000.parquet", documents("doc", 20))
    run("pack", {"tokenizer": str(packed / "pack/tokenizer")}, tmp_path / "pack", path)
    plain = {key: value for key, value in TRAINING.items() if key != "vision"}
    run("train", {**plain, "pack": "concat", "steps": 2}, text, str(tmp_path / "pack"))
    tokenizer = str(packed / "pack/tokenizer")
    run("export", {"tokenizer": tokenizer, "dtype": "float32"}, tmp_path / "export", str(text))
    letters, _ = train(packed, "warm", steps=1, learns="letters")
    output, _ = train(
        packed,
        "projected",
        steps=1,
        learns="projector",
        init_from=str(tmp_path / "export"),
        init_vision_from=str(letters / "checkpoint"),
    )
    model, _ = load_model(output / "checkpoint")
    language, _ = checkpoint.load_model(text / "checkpoint")
    weights = dict(model.named_parameters())
    for name, parameter in language.named_parameters():
        assert torch.equal(weights[name], parameter), name
    warm, _ = load_model(letters / "checkpoint")
    for name, parameter in warm.vision_tower.named_parameters():
        assert torch.equal(weights[f"vision_tower.{name}"], parameter), name


def test_a_model_of_text_refuses_shards_with_images(packed, tmp_path):
    plain = {key: value for key, value in TRAINING.items() if key != "vision"}
    with pytest.raises(CorpusmillError, match=r"train\.vision"):
        run("train", {**plain, "steps": 1}, tmp_path / "train", str(packed / "pack"))


def test_blend_refuses_images(packed, tmp_path):
    source = {"input": str(packed / "render"), "weight": 1.0}
    with pytest.raises(CorpusmillError, match=r"pack\.images"):
        run(
            "blend",
            {"tokenizer": str(packed / "tokenizer"), "sources": {"pages": source}},
            tmp_path / "blend",
        )


def test_text_alone_cannot_train_eyes(packed, tmp_path):
    path = write_shard(tmp_path / "in/00000.parquet", documents("doc", 20))
    run("pack", {"tokenizer": str(packed / "tokenizer")}, tmp_path / "pack", path)
    with pytest.raises(CorpusmillError, match=r"pack\.images"):
        run("train", {**TRAINING, "steps": 1}, tmp_path / "train", str(tmp_path / "pack"))


def test_pack_drops_no_image_in_silence(packed, tmp_path):
    with pytest.raises(CorpusmillError, match=r"pack\.images"):
        run(
            "pack",
            {"tokenizer": str(packed / "tokenizer")},
            tmp_path / "pack",
            str(packed / "render"),
        )


def test_a_warm_up_has_the_same_held_out_loss_on_two_ranks(packed):
    """15 held-out rows fill three batches of four: the second rank has one batch less."""
    held_out = {"steps": 1, "learns": "letters", "eval_fraction": 0.35, "micro_batch_size": 4}
    losses = []
    for ranks in (1, 2):
        output, _ = train(packed, f"ranks-{ranks}", num_workers=ranks, **held_out)
        [record] = (json.loads(line) for line in (output / "log.jsonl").read_text().splitlines())
        losses.append(record["held_out_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_generate_reads_image_files(packed, tmp_path):
    from corpusmill.cli import app
    from typer.testing import CliRunner

    run("train", {**TRAINING, "steps": 1}, tmp_path / "train", str(packed / "pack"))
    settings = {"tokenizer": str(packed / "pack/tokenizer"), "dtype": "float32"}
    run("export", settings, tmp_path / "export", str(tmp_path / "train"))
    page = tmp_path / "page.jpg"
    page.write_bytes(rows_of(packed / "pack")[0]["image"])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    command = ["generate", str(tmp_path / "export"), "--max-tokens", "5", "--image", str(page)]
    alone = CliRunner().invoke(app, command)
    assert alone.exit_code == 0, alone.output
    several = CliRunner().invoke(app, [*command, "--image", str(tmp_path / "broken.png")])
    assert several.exit_code == 3
    good, bad = (json.loads(line) for line in several.stdout.splitlines())
    assert good["answer"] + "\n" == alone.stdout
    assert "image.unreadable" in bad["error"]
    asked = CliRunner().invoke(app, [*command, "--prompt", "What is it?"])
    reader = PageReader.load(tmp_path / "export")
    [(_, answer)] = reader.read([page.read_bytes()], 5, ["What is it?"])
    assert asked.stdout == answer + "\n"


def letter_nats(packed, encoder, head):
    """Nats a letter on the packed pages, by the encoder of one checkpoint and another's head."""
    model, config = load_model(encoder / "checkpoint")
    shape = config.vision
    assert shape is not None
    letter_head = load_model(head / "checkpoint")[0].letter_head
    nats, count = 0.0, 0
    for row in rows_of(packed / "pack"):
        picture = open_image(row["image"])
        grid, pixels = tiles(picture, shape)
        places = row["letters"], row["letter_x"], row["letter_y"]
        labels = torch.from_numpy(patch_labels(*places, picture.size, grid, shape))
        with torch.no_grad():
            logits = letter_head(model.patches(torch.from_numpy(pixels)))
            nats += letter_loss(logits, labels).item()
        count += len(row["letters"])
    return nats / count


def test_an_encoder_keeps_its_letters_while_everything_learns(packed):
    """Their head travels from the warm-up through the projector's phase."""
    phase = {"learning_rate": 1e-2, "steps": 20}
    warm, _ = train(packed, "known", learns="letters", **phase)
    start = {"init_vision_from": str(warm / "checkpoint")}
    projector, _ = train(packed, "carried", learns="projector", letter_weight=0.1, steps=1, **start)
    start = {"init_vision_from": str(projector / "checkpoint")}
    kept, _ = train(packed, "kept", letter_weight=0.1, **start, **phase)
    forgotten, _ = train(packed, "forgotten", **start, **phase)
    before = letter_nats(packed, warm, warm)
    assert letter_nats(packed, projector, projector) == before
    assert letter_nats(packed, kept, kept) < before
    settings = {"tokenizer": str(packed / "pack/tokenizer")}
    account = run("export", settings, packed / "kept-export", str(kept)).totals[0]
    assert account.unused == {"letter_head": 2}  # weight and bias: no reader needs them
    assert letter_nats(packed, forgotten, warm) > 1.5 * before


def test_an_export_is_averaged_with_the_language_model_before(packed, tmp_path):
    checkpoint_folder, _ = train(packed, "averaged", steps=2)
    tokenizer = packed / "pack/tokenizer"
    settings = {"tokenizer": str(tokenizer), "dtype": "float32"}
    run("export", settings, tmp_path / "now", str(checkpoint_folder))
    model, _ = load_model(checkpoint_folder / "checkpoint")
    before = HybridModel(model.config)
    initialise(before, 7)
    write_model(before, tokenizer, tmp_path / "before", "float32", 160)
    earlier = {"average_with": str(tmp_path / "before"), "average_share": 0.5}
    run("export", {**settings, **earlier}, tmp_path / "average", str(checkpoint_folder))
    now, average = load_export(tmp_path / "now"), load_export(tmp_path / "average")
    found = dict(average.named_parameters())
    olds = dict(before.named_parameters())
    for name, value in now.named_parameters():
        wanted = value if name not in olds else (value + olds[name]) / 2
        torch.testing.assert_close(found[name], wanted)
    other = HybridModel(model.config.model_copy(update={"ffn_size": 24}))
    initialise(other, 7)
    write_model(other, tokenizer, tmp_path / "other", "float32", 160)
    with pytest.raises(CorpusmillError, match=r"ffn_size.*; set average_with to an export"):
        run(
            "export",
            {**settings, "average_with": str(tmp_path / "other")},
            tmp_path / "refused",
            str(checkpoint_folder),
        )
