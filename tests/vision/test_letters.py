"""Labels of the encoder's warm-up, and that an encoder learns them."""

import numpy as np
import torch
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.encoder import InternViT
from corpusmill.vision.letters import (
    _CLASS_OF,
    EMPTY,
    OTHER,
    UNKNOWN,
    LetterHead,
    letter_accuracy,
    letter_loss,
    patch_labels,
)
from corpusmill.vision.tiling import Grid

A, B, C, D = (_CLASS_OF[letter] for letter in "abcd")
CONFIG = VisionConfig(
    hidden_size=32, layers=1, heads=4, ffn_size=64, tile_size=28, max_tiles=2, letter_slots=2
)


def test_letters_stand_in_their_patches_from_left_to_right():
    labels = patch_labels("bac", [9, 3, 20], [5, 5, 20], (28, 28), Grid(1, 1), CONFIG)
    assert labels.shape == (1, 4, 2)
    assert labels[0].tolist() == [[A, B], [EMPTY, EMPTY], [EMPTY, EMPTY], [C, EMPTY]]


def test_an_unknown_letter_and_a_full_patch():
    labels = patch_labels("ab字d", [1, 2, 20, 3], [1, 1, 1, 1], (28, 28), Grid(1, 1), CONFIG)
    assert labels[0, :2].tolist() == [[A, B], [OTHER, EMPTY]]


def test_coordinates_follow_the_image_onto_its_tiles():
    # An image of 100 x 50 is stretched onto two tiles of 28 pixels.
    labels = patch_labels("abd", [10, 60, 99], [10, 40, 0], (100, 50), Grid(2, 1), CONFIG)
    assert labels[:, :, 0].tolist() == [
        [A, EMPTY, EMPTY, EMPTY],
        [EMPTY, D, B, EMPTY],
        [UNKNOWN] * 4,
    ]


def test_an_encoder_learns_which_letter_stands_where():
    # Letters are patterns of light here: each has its own random patch.
    rng = np.random.default_rng(0)
    shapes = torch.from_numpy(rng.normal(size=(4, 3, 14, 14)).astype(np.float32))
    chosen = torch.from_numpy(rng.integers(0, 4, (64, 2, 2)))
    pixels = shapes[chosen].permute(0, 3, 1, 4, 2, 5).reshape(64, 3, 28, 28)
    classes = torch.tensor([A, B, C, D])[chosen].reshape(64, 4, 1)
    labels = torch.cat([classes, torch.full_like(classes, EMPTY)], dim=-1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(InternViT(CONFIG), LetterHead(CONFIG))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = letter_loss(model(pixels), labels) / labels.numel()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    right, letters = letter_accuracy(model(pixels), labels)
    assert letters == 256
    assert right > 250
    assert losses[-1] < losses[0] / 10


def test_patches_without_labels_count_for_nothing():
    logits = torch.randn(1, 4, 2, 2 + 94)
    labels = torch.full((1, 4, 2), UNKNOWN)
    assert letter_loss(logits, labels) == 0
    assert letter_accuracy(logits, labels) == (0, 0)
