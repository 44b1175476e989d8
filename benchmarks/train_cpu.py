"""The trainer on a CPU: a model of 12M parameters beside transformers', the loader, the export."""

import copy
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from corpusmill.benchmarks.train_shapes import (
    DOCUMENT_LENGTH,
    SMALL,
    random_batch,
    training_step,
)
from corpusmill.trainer import train as trainer
from corpusmill.trainer.__main__ import read_config
from corpusmill.trainer.config import Packing, TrainConfig
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.export import huggingface_config
from corpusmill.trainer.loader import collate
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.token_shards import catalogue
from safetensors.torch import save_file
from torch import Tensor
from transformers import NemotronHForCausalLM


def measure_cpu(repeats: int) -> dict[str, float]:
    """Tokens a second of the 12M model, ours and transformers', of the loader, and how far exported
    logits are off, as a share of the largest.

    Forward, backward and AdamW on two rows of 512 tokens: in fp32, in bf16, and ours compiled too
    where there is a C++ compiler. Seconds are those of one thread, the sides take turns, and the
    best of each counts: other work on the machine can only add to it.
    """
    config = read_config(
        SMALL, ["sequence_length=512", "batch_size=2", "device=cpu", "compile=false"]
    )
    ranks = Ranks(torch.device("cpu"))
    tokens = random_batch(config, ranks, 0).tokens[:, :-1]
    theirs, difference = exported(config, tokens)
    torch.set_num_threads(1)

    def ours(**changes: Any) -> Callable[[], Any]:
        return training_step(config.model_copy(update=changes), ranks)

    sides = {
        "corpusmill": ours(),
        "corpusmill_bf16": ours(dtype="bfloat16"),
        "transformers": their_step(theirs, tokens),
        "transformers_bf16": their_step(copy.deepcopy(theirs).bfloat16(), tokens),
    }
    if shutil.which("c++"):
        sides |= {
            "corpusmill_compiled": ours(compile=True),
            "corpusmill_bf16_compiled": ours(dtype="bfloat16", compile=True),
        }
    best = dict.fromkeys(sides, float("inf"))
    for turn in range(repeats + 1):
        for name, step in sides.items():
            start = time.process_time()
            step()
            if turn:  # the first one makes means and gradients
                best[name] = min(best[name], time.process_time() - start)
    return {
        **{f"cpu_tokens_s.{name}": round(tokens.numel() / best[name]) for name in sides},
        "loader_tokens_s": round(loader_speed("concat")),
        "best_fit_loader_tokens_s": round(loader_speed("best_fit")),
        "export_logit_diff": difference,
    }


def their_step(model: Any, tokens: Tensor) -> Callable[[], None]:
    """One optimiser step of transformers' model."""
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-5)

    def step() -> None:
        model(tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def exported(config: TrainConfig, tokens: Tensor) -> tuple[Any, float]:
    """The model in transformers, and the largest difference of its logits from ours."""
    ours = trainer.build_model(config, Ranks(torch.device("cpu")))
    shape = huggingface_config(config.model, {}, "float32", config.sequence_length)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(shape))
        save_file(dict(ours.state_dict()), Path(folder) / "model.safetensors", {"format": "pt"})
        theirs = NemotronHForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        expected = ours(tokens)
        found = theirs.eval()(tokens).logits
    return theirs, float((found - expected).abs().max() / expected.abs().max())


def loader_speed(pack: Packing, tokens: int = 20_000_000) -> float:
    """Tokens a second of the packed stream on one core, over shards of 2M-token row groups."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard-000.parquet"
        lengths = rng.geometric(1 / DOCUMENT_LENGTH, tokens // DOCUMENT_LENGTH)
        flat = pa.array(rng.zipf(1.3, int(lengths.sum())).clip(max=32767).astype(np.int32))
        offsets = pa.array(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
        count = len(lengths)
        table = pa.table(
            {
                "id": [f"doc-{i}" for i in range(count)],
                "tokens": pa.ListArray.from_arrays(offsets, flat),
                "n_prompt": pa.array(np.zeros(count, np.int32)),
                "source": ["bench"] * count,
            }
        )
        pq.write_table(table, path, row_group_size=2_000_000 // DOCUMENT_LENGTH)
        stream = PackedStream(catalogue([path], 2048, 0.0), 0, pack, 8)
        rows = stream.epoch_rows // 16 * 16
        start = time.process_time()
        for first in range(0, rows, 16):
            collate(stream.row(row) for row in range(first, first + 16))
        return rows * 2048 / (time.process_time() - start)
