"""A CUDA graph reads its batch from fixed memory with room for more tiles: the result is the same.

The graph itself needs a GPU; what it reads does not.
"""

import dataclasses

import pytest
import torch
from corpusmill.benchmarks.vision_sizes import FULL
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.step_graph import decide
from corpusmill.trainer.train import gradients_of
from corpusmill.vision.config import VisionConfig, VisionTrainConfig
from corpusmill.vision.letters import CLASSES, UNKNOWN, LetterHead
from corpusmill.vision.loss import LetterLoss, ReadingLoss
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.tiles import ImageTiles

ROWS, LENGTH, PLACES = 4, 24, 4


def batch_of(model, vision, seed: int, with_image: list[bool], letters: bool) -> Batch:
    """Rows of random words, some behind a tile."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(3, 60, (ROWS, LENGTH + 1), generator=generator)
    counted = torch.ones(ROWS, LENGTH, dtype=torch.bool)
    for row, there in enumerate(with_image):
        if there:
            tokens[row, :PLACES] = model.image_token
            counted[row, : PLACES - 1] = False
    tiles = sum(with_image)
    size = vision.tile_size
    pixels = torch.randint(0, 256, (tiles, 3, size, size), generator=generator, dtype=torch.uint8)
    labels = None
    if letters:
        shape = (tiles, vision.patches_per_side**2, vision.letter_slots)
        labels = torch.randint(UNKNOWN, CLASSES, shape, generator=generator).to(torch.int16)
    images = ImageTiles(pixels, tuple(map(int, with_image)), labels, labels_count=letters)
    targets = counted.sum() if labels is None else images.own_target_count
    assert targets is not None
    ids = torch.zeros(ROWS, LENGTH, dtype=torch.int32)
    return Batch(tokens, counted, ids, targets.float(), images)


@pytest.fixture(params=["all", "letters"])
def trained(request, model, text, vision):
    """(model, what leaves a batch's gradients there, whether it learns letters), on a GPU if there
    is one."""
    letters = request.param == "letters"
    if letters:
        model.requires_grad_(False)
        model.vision_tower.requires_grad_(True)
        model.letter_head = LetterHead(vision)
    config = VisionTrainConfig(
        model=text,
        vision=vision,
        learns=request.param,
        pack="pad",
        sequence_length=LENGTH,
        batch_size=ROWS,
        steps=1,
        cuda_graph=torch.cuda.is_available(),
    )
    ranks = Ranks(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    model.to(ranks.device)
    loss = (LetterLoss if letters else ReadingLoss)(model, config)
    plain = config.model_copy(update={"cuda_graph": False})
    return model, gradients_of(loss, plain, ranks), gradients_of(loss, config, ranks), letters


def result(model, gradients, batch):
    """(loss, gradients by name)."""
    loss = gradients(batch).item()
    found = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    model.zero_grad()
    return loss, found


def assert_same(one, two):
    assert one[0] == pytest.approx(two[0], rel=1e-5)
    assert one[1].keys() == two[1].keys()
    for name, gradient in one[1].items():
        assert torch.allclose(gradient, two[1][name], rtol=1e-4, atol=1e-6), name


def test_batches_with_fewer_and_more_images_pass_through_the_same_memory(trained, vision):
    model, plain, _, letters = trained
    device = model.lm_head.weight.device
    memory = batch_of(model, vision, 0, [True, False, True, False], letters).to(device).with_room()
    for seed, rows in enumerate(([True] * 4, [False, True, False, False], [True, False] * 2)):
        batch = batch_of(model, vision, seed, list(rows), letters).to(device)
        assert memory.take(batch)
        assert_same(result(model, plain, memory), result(model, plain, batch))


def test_more_tiles_than_there_is_room_for_are_refused(model, vision):
    memory = batch_of(model, vision, 0, [True] * ROWS, False).with_room()
    assert isinstance(memory.extras, ImageTiles)
    more = dataclasses.replace(
        memory.extras, pixels=memory.extras.pixels.repeat(2, 1, 1, 1), counts=(2,) * ROWS
    )
    assert not memory.take(dataclasses.replace(memory, extras=more))


INTERNVIT = {"hidden_size": 1024, "layers": 24, "heads": 16, "ffn_size": 4096}


@pytest.mark.parametrize("learns", ["all", "letters"])
@pytest.mark.parametrize(
    ("encoder", "tiling", "wins"),
    [
        (FULL.vision, {"tile_size": FULL.tile, "patch_size": FULL.patch, "max_tiles": 1}, True),
        (INTERNVIT, {"tile_size": 448, "patch_size": 14, "max_tiles": 12}, False),
    ],
)
def test_auto_weighs_the_encoder_too(encoder, tiling, wins, learns):
    text = HybridConfig(vocab_size=FULL.vocabulary, **FULL.model)
    vision = VisionConfig(**encoder, **tiling)
    config = VisionTrainConfig(
        model=text,
        vision=vision,
        learns=learns,
        pack="pad",
        sequence_length=FULL.longest if wins else 4096,
        batch_size=FULL.batch if wins else 4,
        steps=1,
    )
    with torch.device("meta"):
        model = VisionLanguageModel(text, vision, image_token=3, learns=learns)
    gpu = Ranks(torch.device("cuda"))
    assert decide(config, gpu, SummedLoss(model, config).layer_flops) == (True, "")
    loss = (LetterLoss if learns == "letters" else ReadingLoss)(model, config)
    assert decide(config, gpu, loss.layer_flops) == (wins, "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_graph_leaves_the_gradients_of_a_plain_step(trained, vision):
    model, plain, graph, letters = trained
    for seed in range(8):
        batch = batch_of(model, vision, seed, [seed % 2 == 0, True, True, False], letters)
        batch = batch.to(torch.device("cuda"))
        assert_same(result(model, graph, batch), result(model, plain, batch))
