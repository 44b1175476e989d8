"""vLLM in the worker: prompts go in as token ids, without a server or a network.

vLLM batches continuously. It has more requests than it can work on, so that it never waits for the
next one, and two shards of a worker share it, so that the end of one leaves no GPU idle.
"""

import atexit
import functools
import importlib.util
import json
import os
import threading
import uuid
from collections.abc import Iterator
from typing import Any, Literal

from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.manifests.settings import PositiveShare
from corpusmill.stages.engines import chat, model_folder
from corpusmill.stages.engines.contract import Completion, Request, failed
from corpusmill.stages.engines.local_model import LocalModel
from corpusmill.stages.engines.model_folder import is_hybrid
from corpusmill.stages.engines.stream import streamed
from pydantic import JsonValue, PositiveFloat, PositiveInt

_starting = threading.Lock()


class VLLMEngine(LocalModel):
    """vLLM inside the worker."""

    kind: Literal["vllm"] = "vllm"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights. auto: what the model declares."""
    gpu_memory_utilization: PositiveShare = 0.9
    """Share of a GPU's memory that vLLM may fill."""
    tensor_parallel_size: PositiveInt = 1
    """GPUs that one engine takes."""
    enforce_eager: bool = False
    """Use no CUDA graphs and no compilation."""
    prefix_caching: bool | None = None
    """Keep what requests have in common.

    Null: as vLLM does by itself, but off for hybrids in its CPU build, which breaks on it.
    """
    kv_cache_gib: PositiveInt = 1
    """Memory for keys and values, in GiB. Only for vLLM's CPU build."""
    cpus: PositiveFloat = 1
    """Processors of one worker. Only for vLLM's CPU build."""
    in_flight: PositiveInt = 2048
    """Requests that vLLM holds, at work or waiting."""
    arguments: dict[str, JsonValue] | None = None
    """Further engine arguments, as vLLM's documentation names them. They may be nested."""

    @property
    def gpus(self) -> float:
        return self.tensor_parallel_size

    @property
    def streams(self) -> int:
        return 2

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        model, context = _load(self._arguments(), self.kv_cache_gib), self.context_length()
        tokenizer = self.tokenizer()

        async def ask(request: Request) -> Completion:
            # vLLM would refuse it too, but its words do not name the numbers.
            problem = request.unfit(context)
            return failed(problem) if problem else await _ask(model, tokenizer, request)

        return streamed(ask, requests, lambda: self.in_flight)

    def _arguments(self) -> str:
        """Everything that makes the engine. It is the key under which the engine stays loaded."""
        settings: dict[str, Any] = {
            "model": model_folder.local_folder(self.model),
            "dtype": self.dtype,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "tensor_parallel_size": self.tensor_parallel_size,
            "enforce_eager": self.enforce_eager,
            "disable_log_stats": True,
            **self._caching(),
            **({"max_model_len": self.context} if self.context is not None else {}),
            **(self.arguments or {}),
        }
        return json.dumps(settings, sort_keys=True)

    def _caching(self) -> dict[str, bool]:
        if self.prefix_caching is not None:
            return {"enable_prefix_caching": self.prefix_caching}
        # Seen in 0.30: an IndexError at the first prompt that is longer than one state block.
        breaks = importlib.util.find_spec("vllm") is not None and _runs_on_cpu()
        return {"enable_prefix_caching": False} if breaks and is_hybrid(self.model) else {}


def _runs_on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


async def _ask(model: Any, tokenizer: chat.ChatTokenizer, request: Request) -> Completion:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.exceptions import EngineDeadError

    sampling = SamplingParams(
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
        stop=list(request.stop) or None,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    prompt = {"prompt_token_ids": list(request.token_ids)}
    try:
        async for output in model.generate(prompt, sampling, uuid.uuid4().hex):
            answer = output.outputs[0]
    except ValueError as error:
        return failed(f"vLLM refuses the request ({_first_line(error)})")
    except (EngineDeadError, RuntimeError) as error:
        _started.cache_clear()  # a later shard of this process gets a new engine
        raise EngineError(
            f"vLLM stopped ({type(error).__name__}: {_first_line(error)})",
            "its own log above says why; run the same command again, answers so far are kept",
        ) from error
    if answer.finish_reason not in ("stop", "length"):
        return failed(f"vLLM ended with finish_reason {answer.finish_reason!r}")
    # vLLM leaves out special tokens, also those that mark reasoning.
    text = tokenizer.decode(answer.token_ids) if tokenizer.marks_reasoning else answer.text
    return Completion(
        text, answer.finish_reason, len(output.prompt_token_ids), len(answer.token_ids)
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else "no message"


def _load(arguments: str, kv_cache_gib: int) -> Any:
    with _starting:
        return _started(arguments, kv_cache_gib)


@functools.lru_cache(maxsize=1)
def _started(arguments: str, kv_cache_gib: int) -> Any:
    """The engine, once per process.

    Raises EngineError if vLLM is not installed, and ModelError if it cannot start the model.
    """
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(kv_cache_gib))
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise EngineError(
            f"vLLM cannot be imported ({error})",
            "install it (docs/synthesis.md), or use another engine.kind",
        ) from error
    settings = json.loads(arguments)
    if _runs_on_cpu():
        # If a prompt is read in pieces, vLLM (seen in 0.30) winds back the request's random
        # generator. CPU generators cannot do that, and the engine dies.
        settings.setdefault("enable_chunked_prefill", False)
    try:
        # The limits of a batch are those that vLLM chooses for work offline.
        model = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**settings), usage_context=UsageContext.LLM_CLASS
        )
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise ModelError(
            f"vLLM cannot start the model ({type(error).__name__}: {_first_line(error)})",
            "its own log above says why; check engine.arguments",
        ) from error
    atexit.register(model.shutdown)  # its processes must not outlive this one
    return model
