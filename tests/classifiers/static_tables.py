"""A model2vec folder, small enough to make in a test: one vector for each of a few words."""

import json
from pathlib import Path

import numpy as np

from tests.classifiers.tiny_encoders import WORDS


def write_table(folder: Path, **tensors: np.ndarray) -> str:
    """The folder that model2vec's `save_pretrained` writes. Token 0 is the unknown one.

    tensors: in place of `embeddings`, or beside it.
    """
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: place for place, word in enumerate(["[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), 8)).astype(np.float32)
    save_file({"embeddings": vectors, **tensors}, folder / "model.safetensors")
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": False}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)
