"""Any causal language model that stock transformers loads, on CPU or GPU: the engine for other
architectures.

Some batches' worth of requests are sorted by length and answered in padded batches. Padding stands
on the left, under a mask. transformers zeroes masked positions before the convolution and the state
update of hybrid models. So answers in a batch equal single ones; a test holds this. For throughput
on GPUs, use the vLLM engine.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines import chat, model_folder
from corpusmill.stages.engines.contract import Completion, Request, failed
from corpusmill.stages.engines.local_model import NO_CPU_MEMORY, OneDevice, TextModel

_BATCHES_SORTED = 16  # requests that are sorted by length together, in batches


class TransformersEngine(OneDevice, TextModel):
    """Stock transformers inside the worker, for any architecture."""

    kind: Literal["transformers"] = "transformers"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights. auto: bfloat16 on CUDA, float32 on the CPU."""

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        folder = model_folder.local_folder(self.model)
        with self.loading():
            model = _load(folder, self.device, self.dtype, self.threads)
        tokenizer = self.tokenizer()
        context = self.context_length()
        numbered = enumerate(requests)
        while taken := list(itertools.islice(numbered, self.batch_size * _BATCHES_SORTED)):
            fitting = []
            for index, request in taken:
                if problem := request.unfit(context):
                    yield index, failed(problem)
                else:
                    fitting.append((index, request))
            # Rows of a batch should be of one length: padding is read too.
            fitting.sort(key=lambda item: (len(item[1].token_ids), item[1].max_tokens, item[0]))
            for start in range(0, len(fitting), self.batch_size):
                indices, batch = zip(*fitting[start : start + self.batch_size], strict=True)
                yield from zip(indices, _answered(model, tokenizer, batch), strict=True)


def _answered(
    model: Any, tokenizer: chat.ChatTokenizer, requests: Sequence[Request]
) -> list[Completion]:
    """The answers of a batch. If the GPU has not enough memory for it, of its halves."""
    import torch

    try:
        return _generate_batch(model, tokenizer, requests)
    except torch.OutOfMemoryError:
        if len(requests) == 1:
            return [failed("the GPU has not enough memory for this request")]
    torch.cuda.empty_cache()
    half = len(requests) // 2
    return _answered(model, tokenizer, requests[:half]) + _answered(
        model, tokenizer, requests[half:]
    )


def _generate_batch(
    model: Any, tokenizer: chat.ChatTokenizer, requests: Sequence[Request]
) -> list[Completion]:
    import torch
    from corpusmill.stages.engines.sampling import SeededSampling
    from transformers import LogitsProcessorList

    stops = _stop_ids(model, tokenizer)
    padding = tokenizer.pad if tokenizer.pad is not None else next(iter(stops), 0)
    longest = max(len(request.token_ids) for request in requests)
    ids = torch.full((len(requests), longest), padding)
    mask = torch.zeros_like(ids)
    for row, request in enumerate(requests):
        ids[row, longest - len(request.token_ids) :] = torch.tensor(request.token_ids)
        mask[row, longest - len(request.token_ids) :] = 1
    sampling = SeededSampling(
        [request.temperature for request in requests],
        [request.top_p for request in requests],
        [request.seed for request in requests],
        model.device,
    )
    with torch.inference_mode():
        output = model.generate(
            ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max(request.max_tokens for request in requests),
            do_sample=False,
            logits_processor=LogitsProcessorList([sampling]),
            eos_token_id=sorted(stops) or None,
            pad_token_id=padding,
        )
    return [
        _completion(request, row, stops, tokenizer)
        for request, row in zip(requests, output[:, longest:].tolist(), strict=True)
    ]


def _completion(
    request: Request, ids: list[int], stops: set[int], tokenizer: chat.ChatTokenizer
) -> Completion:
    ids = ids[: request.max_tokens]
    end = next((place for place, token in enumerate(ids) if token in stops), None)
    text = tokenizer.decode(ids if end is None else ids[:end])
    n_output = len(ids) if end is None else end + 1
    cuts = [text.find(stop) for stop in request.stop if stop and stop in text]
    if cuts:
        text = text[: min(cuts)]
    return Completion(
        text, "length" if end is None and not cuts else "stop", len(request.token_ids), n_output
    )


def _stop_ids(model: Any, tokenizer: chat.ChatTokenizer) -> set[int]:
    """Every token that ends an answer: the model's own list and the tokenizer's end token."""
    declared = model.generation_config.eos_token_id
    ids = set(declared if isinstance(declared, list) else [declared])
    return {token for token in ids | {tokenizer.eos} if token is not None}


@functools.lru_cache(maxsize=1)
def _load(folder: str, device: str, dtype: str, threads: int) -> Any:
    """The model, once per process."""
    import torch
    from corpusmill.trainer.ranks import compute_dtype
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.utils import logging

    # Its advice on faster kernels, once for each worker, would hide the progress lines.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise EngineError("there is no GPU here", "set engine.device to cpu or auto")
    if device == "cpu":
        torch.set_num_threads(threads)
    number = compute_dtype(dtype, torch.device(device))
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=number)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or NO_CPU_MEMORY in str(error):
            raise  # `OneDevice.loading` says what to do
        raise ModelError(
            f"the model in {folder} cannot be loaded ({str(error).splitlines()[0]})",
            "check its files and that this version of transformers knows it",
        ) from error
    # What the model's files say about sampling (penalties, top-k) would add to the prompt's.
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    return model.to(device).eval()
