"""A hybrid that answers the rephrase prompt, served by a real vLLM on loopback.

This project's trainer trains it, and its export writes it.
"""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.prompts import loader
from corpusmill.stages.engines import chat
from corpusmill.stages.engines import vllm as vllm_engine
from corpusmill.stages.engines.vllm import VLLMEngine
from corpusmill.stages.tokenizer import loaded as tokens

from tests.stages.engines import tiny_model
from tests.vllm.serving import served

CONTEXT = 1024
SENTENCES = [
    "The river rises in the northern hills and reaches the sea.",
    "A mould that kills bacteria was found in 1928.",
    "Bread is made of flour, water, salt and yeast.",
    "The substance was isolated twelve years later by others.",
]
ANSWER = "Rewritten text:\n" + " ".join(SENTENCES)


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """A folder of `trainer.export`: a hybrid that answers any passage with four fixed sentences."""
    from corpusmill.trainer.config import TrainConfig
    from corpusmill.trainer.export import export
    from corpusmill.trainer.shape import HybridConfig
    from corpusmill.trainer.train import train

    folder = tmp_path_factory.mktemp("trained")
    tokenizer_folder = tiny_model.save_tokenizer(folder / "tokenizer")
    tokenizer = chat.load(str(tokenizer_folder))
    prompt = loader.load("rephrase")
    rows = []
    for number in range(64):
        passage = " ".join(tiny_model.CORPUS[(number + turn) % 4] for turn in range(1 + number % 3))
        ids = tokenizer.prompt_ids([prompt.messages(f"{number} {passage}")])[0]
        answer = tokens.load(str(tokenizer_folder)).encode([ANSWER])[0]
        rows.append(
            {
                "id": str(number),
                "tokens": [*ids, *answer, 2],
                "n_prompt": len(ids),
                "source": "test",
            }
        )
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("n_prompt", pa.int32()),
            ("source", pa.string()),
        ]
    )
    (folder / "pack").mkdir()
    pq.write_table(
        pa.Table.from_pylist(rows, schema), folder / "pack" / "00.parquet", row_group_size=8
    )
    config = TrainConfig(
        model=HybridConfig(
            pattern="M-M*-",
            hidden_size=64,
            ffn_size=128,
            attention_heads=2,
            key_value_heads=1,
            head_dim=64,
            mamba_heads=4,
            mamba_head_dim=32,
            mamba_groups=1,
            mamba_state=32,
            chunk_size=64,
            vocab_size=tiny_model.VOCABULARY,
        ),
        sequence_length=512,
        batch_size=4,
        steps=120,
        pack="pad",
        learning_rate=3e-3,
        warmup_steps=10,
        threads=1,
        device="cpu",
    )
    train(config, [folder / "pack" / "00.parquet"], folder / "run")
    return export(
        folder / "run",
        tokenizer_folder,
        folder / "exported-hybrid",
        dtype="float32",
        context_length=CONTEXT,
    )


@pytest.fixture(scope="session")
def server(exported, tmp_path_factory):
    """The address of a vLLM server (the command that docs/synthesis.md gives for CPUs)."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    options = ["--dtype", "bfloat16", "--no-enable-chunked-prefill"]
    forced = '{"backend": "xgrammar", "disable_any_whitespace": true}'  # as docs/annotate.md says
    options += ["--structured-outputs-config", forced]
    with served(exported, "hybrid", CONTEXT, log, options) as url:
        yield url


@pytest.fixture(scope="session")
def embedded(exported):
    """An engine in this process, in float32, so that its last digits agree with transformers.

    On CPUs with AVX512-BF16, vLLM 0.30 packs the convolution weights of every recurrent layer for a
    kernel that only knows bfloat16. It stops on float32 weights. Mamba-2 layers do not use that
    kernel. So if vLLM is told that the CPU has no such instructions, the model loads, and nothing
    else changes.
    """
    pytest.importorskip("vllm", reason="needs the environment that `make test-vllm` makes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", str(Path(__file__).parent / "without_avx512_bf16"), prepend=os.pathsep
        )
        engine = VLLMEngine(
            model=str(exported), dtype="float32", context=CONTEXT, enforce_eager=True
        )
        yield engine
    # Otherwise its processes would outlive the log that they write to.
    vllm_engine.stop()
