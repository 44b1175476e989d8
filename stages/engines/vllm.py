"""vLLM in the worker: prompts go in as token ids, without a server or a network.

vLLM batches continuously. It has more requests than it can work on, so that it never waits for the
next one, and two shards of a worker share it, so that the end of one leaves no GPU idle.

Its engine is a process of its own. If that dies (a crash, CUDA out of memory), it is replaced
(`stages.engines.replaced`).
"""

import atexit
import importlib.util
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.manifests.settings import PositiveShare
from corpusmill.stages.engines import chat, model_folder
from corpusmill.stages.engines.contract import Completion, Request, failed
from corpusmill.stages.engines.local_model import TextModel
from corpusmill.stages.engines.model_folder import is_hybrid
from corpusmill.stages.engines.replaced import Survivors
from pydantic import JsonValue, PositiveFloat, PositiveInt

_starting = threading.Lock()
running: dict[str, Any] = {}  # settings -> the process's engine; one at a time
_RESTARTS, _RESTART_SECONDS = 2, 10.0
_INSTALL = "install it (docs/synthesis.md), or run the model with something else"
# JSON may have blanks between its parts. A weak model, forced to write JSON, writes nothing else.
_WITHOUT_BLANKS = {"backend": "xgrammar", "disable_any_whitespace": True}


class VLLMEngine(TextModel):
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
    """Keep what requests begin with in common, such as a document under several prompts.

    Null: on if vLLM says that the model can, but off for hybrids in its CPU build, which breaks.
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

    def refuse_machine(self) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise EngineError("vLLM is not installed here", _INSTALL)

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        tokenizer, context = self.tokenizer(), self.context_length()

        async def ask_one(model: Any, request: Request) -> Completion | None:
            # vLLM would refuse it too, but its words do not name the numbers.
            problem = request.unfit(context)
            return failed(problem) if problem else await ask(model, tokenizer, request)

        return Survivors(self.started, ask_one, _harmless).answers(requests, self.in_flight)

    def started(self, dead: Any = None) -> Any:
        """The process's engine, started if there is none. dead: one that is to be replaced.

        Raises EngineError if vLLM is not installed, and ModelError if it cannot start the model.
        """
        with _starting:
            arguments = self.arguments_of_vllm()
            if arguments not in running:
                stop()  # one with other settings: a GPU holds one engine
                running[arguments] = _start(arguments, self.kv_cache_gib)
            elif running[arguments] is dead:
                stop()
                running[arguments] = _start_again(arguments, self.kv_cache_gib)
            return running[arguments]

    def arguments_of_vllm(self) -> str:
        """Everything that makes the engine, as JSON. The engine stays loaded under it."""
        settings: dict[str, Any] = {
            "model": model_folder.local_folder(self.model),
            "dtype": self.dtype,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "tensor_parallel_size": self.tensor_parallel_size,
            "enforce_eager": self.enforce_eager,
            "disable_log_stats": True,
            **self._for_this_build(),
            **(
                {"enable_prefix_caching": self.prefix_caching}
                if self.prefix_caching is not None
                else {}
            ),
            **({"max_model_len": self.context} if self.context is not None else {}),
            **(self.arguments or {}),
        }
        return json.dumps(settings, sort_keys=True)

    def _for_this_build(self) -> dict[str, bool]:
        """What keeps vLLM's CPU build from breaking (seen in 0.30)."""
        if importlib.util.find_spec("vllm") is None or not runs_on_cpu():
            return {}
        # If a prompt is read in pieces, it winds back the request's random generator. CPU
        # generators cannot do that, and the engine dies.
        found = {"enable_chunked_prefill": False}
        if is_hybrid(self.model):
            # An IndexError at the first prompt that is longer than one state block.
            found["enable_prefix_caching"] = False
        return found


def runs_on_cpu() -> bool:
    """Whether the vLLM that is installed is the CPU build."""
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def sampling_of(request: Request) -> Any:
    """vLLM's parameters of a request."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
        stop=list(request.stop) or None,
        output_kind=RequestOutputKind.FINAL_ONLY,
        structured_outputs=StructuredOutputsParams(json=request.schema) if request.schema else None,
    )


async def ask(model: Any, tokenizer: chat.ChatTokenizer, request: Request) -> Completion | None:
    """The engine's answer. None: it died meanwhile."""
    from vllm.v1.engine.exceptions import EngineDeadError

    prompt = {"prompt_token_ids": list(request.token_ids)}
    try:
        async for output in model.generate(prompt, sampling_of(request), uuid.uuid4().hex):
            answer = output.outputs[0]
    except EngineDeadError:
        return None
    except refusals() as error:
        return failed(f"vLLM refuses the request ({_first_line(error.__cause__ or error)})")
    if answer.finish_reason not in ("stop", "length"):
        return failed(f"vLLM ended with finish_reason {answer.finish_reason!r}")
    # vLLM leaves out special tokens, also those that mark reasoning.
    text = tokenizer.decode(answer.token_ids) if tokenizer.marks_reasoning else answer.text
    return Completion(
        text, answer.finish_reason, len(output.prompt_token_ids), len(answer.token_ids)
    )


def refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises over a request. In 0.30 a dead engine's error is one of them."""
    from vllm import exceptions
    from vllm.v1.engine.exceptions import EngineGenerateError

    return ValueError, EngineGenerateError, getattr(exceptions, "VLLMError", ValueError)


def _harmless(request: Request) -> Request:
    """A request of one token in and out."""
    return replace(request, token_ids=request.token_ids[-1:], max_tokens=1, schema="")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:300] if str(error) else "no message"


def stop() -> None:
    """End the engine that runs, with its processes."""
    while running:
        _, model = running.popitem()
        model.shutdown()


def discard(dead: Any) -> None:
    """Forget an engine that died, so that the next caller starts one."""
    with _starting:
        if any(model is dead for model in running.values()):
            stop()


def _start_again(arguments: str, kv_cache_gib: int) -> Any:
    """A new engine in the place of one that died, whose memory may not be free at once."""
    for _ in range(_RESTARTS):
        with suppress(ModelError):
            return _start(arguments, kv_cache_gib)
        time.sleep(_RESTART_SECONDS)
    return _start(arguments, kv_cache_gib)


def _start(arguments: str, kv_cache_gib: int) -> Any:
    """A new engine."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(kv_cache_gib))
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        from vllm.config import StructuredOutputsConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise EngineError(
            f"vLLM cannot be imported ({error})",
            _INSTALL,
        ) from error
    settings = json.loads(arguments)
    forced = settings.get("structured_outputs_config", _WITHOUT_BLANKS)
    try:
        # Of this one vLLM wants an object.
        settings["structured_outputs_config"] = StructuredOutputsConfig(**forced)
        # The limits of a batch are those that vLLM chooses for work offline.
        model = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**settings), usage_context=UsageContext.LLM_CLASS
        )
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise ModelError(
            f"vLLM cannot start the model ({type(error).__name__}: {_first_line(error)})",
            "its own log above says why; check the `arguments` that it is given",
        ) from error
    # Its processes must not outlive this one, and must end before what vLLM itself does at the end.
    atexit.register(stop)
    return model
