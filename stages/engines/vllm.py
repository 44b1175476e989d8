"""vLLM in the worker: prompts go in as token ids, without a server or a network.

vLLM batches continuously. So it gets a whole window of requests at once, and a long answer holds up
nobody. Hybrid models run without prefix caching, because a cached prefix has no recurrent state.
With it, vLLM's CPU build stops with an IndexError at the first prompt longer than one state block,
and the support on GPUs is young.
"""

import functools
import json
import os
from collections.abc import Sequence
from typing import Any, Literal

from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.manifests.settings import PositiveShare, Settings
from corpusmill.stages.engines import chat, model_folder
from corpusmill.stages.engines.contract import Answered, Completion, Request, failed, silent
from pydantic import PositiveFloat, PositiveInt


class VLLMEngine(Settings):
    """vLLM inside the worker."""

    kind: Literal["vllm"] = "vllm"
    model: str
    """A folder, or OWNER/NAME on the Hugging Face hub."""
    context: PositiveInt | None = None
    """Tokens of prompt and answer. Null: what the model declares."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights. auto: what the model declares."""
    gpu_memory_utilization: PositiveShare = 0.9
    """Share of a GPU's memory that vLLM may fill."""
    tensor_parallel_size: PositiveInt = 1
    """GPUs that one engine takes."""
    enforce_eager: bool = False
    """Use no CUDA graphs and no compilation."""
    prefix_caching: bool = False
    """Keep what requests have in common. Off: vLLM's CPU build breaks on it for hybrids."""
    kv_cache_gib: PositiveInt = 1
    """Memory for keys and values, in GiB. Only for vLLM's CPU build."""
    cpus: PositiveFloat = 1
    """Processors of one worker. Only for vLLM's CPU build."""
    template_arguments: dict[str, str | bool | int | float] | None = None
    """Further variables of the model's chat template."""
    arguments: dict[str, str | bool | int | float] | None = None
    """Further keyword arguments of vllm.LLM, as its documentation names them."""

    @property
    def gpus(self) -> float:
        return self.tensor_parallel_size

    def tokenizer(self) -> chat.ChatTokenizer:
        return chat.load(model_folder.local_folder(self.model), self.template_arguments)

    def context_length(self) -> int | None:
        return (
            self.context if self.context is not None else model_folder.declared_context(self.model)
        )

    def identity(self) -> str:
        return model_folder.identity(self.model)

    def generate(
        self, requests: Sequence[Request], answered: Answered = silent
    ) -> list[Completion]:
        model = _load(self._arguments(), self.kv_cache_gib)
        from vllm import SamplingParams

        context = self.context_length()
        completions: dict[int, Completion] = {}
        prompts, sampling = [], []
        for index, request in enumerate(requests):
            needed = len(request.token_ids) + request.max_tokens
            if not request.token_ids or (context is not None and needed > context):
                # vLLM would refuse the whole call for one such request.
                completions[index] = failed(
                    f"prompt and answer need {needed} tokens, the model has {context}"
                )
                continue
            prompts.append({"prompt_token_ids": list(request.token_ids)})
            sampling.append(
                SamplingParams(
                    max_tokens=request.max_tokens,
                    temperature=request.temperature,
                    top_p=request.top_p,
                    seed=request.seed,
                    stop=list(request.stop) or None,
                )
            )
        try:
            outputs = model.generate(prompts, sampling, use_tqdm=False) if prompts else []
        except (RuntimeError, ValueError) as error:
            raise EngineError(
                f"vLLM stopped ({type(error).__name__}: "
                f"{str(error).splitlines()[0][:200] if str(error) else 'no message'})",
                "its own log above says why; run the same command again, finished shards are kept",
            ) from error
        answers = iter(outputs)
        for index in range(len(requests)):
            if index not in completions:
                completions[index] = _completion(next(answers))
        return [completions[index] for index in range(len(requests))]

    def _arguments(self) -> str:
        """Everything that makes the engine. It is the key under which the engine stays loaded."""
        settings: dict[str, Any] = {
            "model": model_folder.local_folder(self.model),
            "dtype": self.dtype,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "tensor_parallel_size": self.tensor_parallel_size,
            "enforce_eager": self.enforce_eager,
            "enable_prefix_caching": self.prefix_caching,
            **({"max_model_len": self.context} if self.context is not None else {}),
            **(self.arguments or {}),
        }
        return json.dumps(settings, sort_keys=True)


def _completion(output: Any) -> Completion:
    answer = output.outputs[0]
    if answer.finish_reason not in ("stop", "length"):
        return failed(f"vLLM ended with finish_reason {answer.finish_reason!r}")
    return Completion(
        answer.text, answer.finish_reason, len(output.prompt_token_ids), len(answer.token_ids)
    )


@functools.lru_cache(maxsize=1)
def _load(arguments: str, kv_cache_gib: int) -> Any:
    """The engine, once per process.

    Raises EngineError if vLLM is not installed, and ModelError if it cannot start the model.
    """
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(kv_cache_gib))
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        from vllm import LLM
        from vllm.platforms import current_platform
    except ImportError as error:
        raise EngineError(
            f"vLLM cannot be imported ({error})",
            "install it (docs/synthesis.md), or use another engine.kind",
        ) from error
    settings = json.loads(arguments)
    if current_platform.is_cpu():
        # If a prompt is read in pieces, vLLM (seen in 0.30) winds back the request's random
        # generator. CPU generators cannot do that, and the engine dies.
        settings.setdefault("enable_chunked_prefill", False)
    try:
        return LLM(**settings)
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise ModelError(
            f"vLLM cannot start the model ({type(error).__name__}: "
            f"{str(error).splitlines()[0][:300] if str(error) else ''})",
            "its own log above says why; check engine.arguments",
        ) from error
