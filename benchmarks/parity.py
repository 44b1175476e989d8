"""Log-probabilities of an exported hybrid in vLLM, the trainer's model and transformers.

    python benchmarks/parity.py [--tf32]

A small hybrid with random weights, written as `export` writes it. All read the same prompts in
float32, vLLM on the GPU if there is one. vLLM also writes ANSWER tokens after each prompt, one by
one, and its log-probabilities of them are compared with those of the others, which read prompt and
answer at once. Triton rounds the factors of float32 products to TF32, in vLLM's kernels too.
Here it does not, unless --tf32 is given.

Printed: for each reader, the greatest and the mean absolute difference to vLLM in nats. The last
line is JSON.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

LENGTHS = (64, 127, 128, 300, 900)  # of the prompts; a chunk of the scan has 128 tokens
ANSWER = 32
VOCABULARY = 4096


def write_folder(folder: Path) -> Any:
    """A model folder without a tokenizer. Returns the trainer's model, float32 on the CPU."""
    import torch
    from corpusmill.trainer.export import huggingface_config, write_weights_and_config
    from corpusmill.trainer.model import HybridModel, initialise
    from corpusmill.trainer.shape import HybridConfig

    shape = HybridConfig(
        pattern="M-M*-M-M*-",
        hidden_size=256,
        ffn_size=1024,
        attention_heads=4,
        key_value_heads=2,
        head_dim=64,
        mamba_heads=8,
        mamba_groups=2,
        vocab_size=VOCABULARY,
        init_std=0.12,  # large, so that log-probabilities lie far apart
    )
    model = HybridModel(shape)
    initialise(model, 3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5, generator=generator)
    special: dict[str, int | None] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = huggingface_config(shape, special, "float32", 2048)
    folder.mkdir()
    weights = dict(model.named_parameters())
    write_weights_and_config(weights, config, special, "float32", folder)
    return model.requires_grad_(False).eval()


def by_vllm(folder: Path, prompts: list[list[int]]) -> tuple[list[list[int]], list[list[float]]]:
    """(prompt and answer, log-probability of each token but the first), for each prompt."""
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=str(folder),
        dtype="float32",
        skip_tokenizer_init=True,
        enforce_eager=True,
        enable_prefix_caching=False,
        max_model_len=2048,
        max_num_seqs=8,
        gpu_memory_utilization=0.4,
    )
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=ANSWER,
        prompt_logprobs=0,
        logprobs=0,
        ignore_eos=True,
        detokenize=False,
    )
    found = engine.generate([{"prompt_token_ids": p} for p in prompts], sampling, use_tqdm=False)
    rows, logs = [], []
    for prompt, item in zip(prompts, found, strict=True):
        answer = item.outputs[0]
        rows.append([*prompt, *answer.token_ids])
        steps = [*item.prompt_logprobs[1:], *answer.logprobs]
        logs.append([s[t].logprob for t, s in zip(rows[-1][1:], steps, strict=True)])
    return rows, logs


def differences(logits_of: Callable[[Any], Any], rows: Any, logs: Any) -> tuple[float, float]:
    """(greatest, mean) absolute difference to `logs`. logits_of: (1, length) to (length, ...)."""
    import torch

    apart = []
    for row, log in zip(rows, logs, strict=True):
        tokens = torch.tensor([row])
        with torch.inference_mode():
            logits = logits_of(tokens).double().cpu()
        own = logits[:-1].log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0]
        apart.append((own - torch.tensor(log, dtype=torch.float64)).abs())
    everything = torch.cat(apart)
    return everything.max().item(), everything.mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tf32", action="store_true", help="let Triton round factors to TF32")
    options = parser.parse_args()
    if not options.tf32:
        os.environ["TRITON_F32_DEFAULT"] = "ieee"
    # Tuning the kernels for speed takes minutes in float32.
    os.environ["VLLM_TRITON_FORCE_FIRST_CONFIG"] = "1"
    import torch

    generator = torch.Generator().manual_seed(0)
    prompts = [
        torch.randint(3, VOCABULARY, (length,), generator=generator).tolist() for length in LENGTHS
    ]
    folder = Path(tempfile.mkdtemp()) / "model"
    model = write_folder(folder)
    rows, logs = by_vllm(folder, prompts)  # first: its engine must start before CUDA does here

    import transformers
    import vllm

    stock = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    readers = {
        "trainer, CPU": lambda tokens: model(tokens)[0],
        "transformers, CPU": lambda tokens: stock(tokens).logits[0],
    }
    if torch.cuda.is_available():
        on_gpu = load_on_gpu(folder)
        readers["trainer, GPU"] = lambda tokens: on_gpu(tokens.cuda())[0]
    spread = torch.tensor([value for log in logs for value in log]).std().item()
    print(f"{sum(map(len, logs)):,} tokens; log-probabilities spread by {spread:.2f}")
    print(f"{'vLLM against':20} {'greatest':>10} {'mean':>10}")
    figures: dict[str, Any] = {
        "vllm": vllm.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "card": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "tf32": options.tf32,
        "spread": round(spread, 3),
    }
    for name, logits_of in readers.items():
        greatest, mean = differences(logits_of, rows, logs)
        print(f"{name:20} {greatest:10.2e} {mean:10.2e}")
        figures[name] = {"greatest": greatest, "mean": mean}
    print(json.dumps(figures))


def load_on_gpu(folder: Path) -> Any:
    """The trainer's model, read back from the folder: with the kernels that training uses."""
    from corpusmill.trainer.importing import load_folder

    return load_folder(folder).cuda().requires_grad_(False).eval()


if __name__ == "__main__":
    main()
