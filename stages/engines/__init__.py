"""Engines that write text. A recipe picks one by `kind`.

They run in the worker (embedded, transformers, vLLM) or behind an OpenAI-compatible server.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.engines.vllm import VLLMEngine
from pydantic import Discriminator, Tag

DEFAULT_KIND = "embedded"
# Settings of engines that decide no byte of an answer (`Stage.free_settings`).
FREE_SETTINGS = tuple(
    f"engine.{name}"
    for name in (
        "url",
        "api_key_variable",
        "server_gpus",
        "in_flight",
        "timeout_seconds",
        "attempts",
        "backoff_seconds",
        "gpu_memory_utilization",
        "kv_cache_gib",
        "cpus",
    )
)


def kind_of(value: Any) -> str:
    return (
        str(value.get("kind", DEFAULT_KIND))
        if isinstance(value, Mapping)
        else str(getattr(value, "kind", ""))
    )


EngineConfig = Annotated[
    Annotated[EmbeddedEngine, Tag("embedded")]
    | Annotated[TransformersEngine, Tag("transformers")]
    | Annotated[OpenAIEngine, Tag("openai")]
    | Annotated[VLLMEngine, Tag("vllm")],
    Discriminator(kind_of),
]
