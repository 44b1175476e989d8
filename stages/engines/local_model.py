"""What engines share that run the model of a folder in the worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from corpusmill.manifests.errors import EngineError
from corpusmill.manifests.settings import Settings
from corpusmill.stages.engines import chat, model_folder
from pydantic import JsonValue, PositiveInt

NO_CPU_MEMORY = "can't allocate memory"  # PyTorch has no class of its own for this error


def refuse_absent(device: str) -> None:
    """Raises CorpusmillError if a setting asks for a GPU, and this machine has none."""
    if device == "cuda":
        from corpusmill.trainer.ranks import find_device

        find_device(device)


class LocalModel(Settings):
    """An engine whose model lies in a folder or on the hub."""

    model: str
    """A folder, OWNER/NAME on the Hugging Face hub, or package:models/NAME."""

    def identity(self) -> str:
        return model_folder.identity(self.model)

    def refuse_machine(self) -> None:
        """vLLM's builds know their devices."""

    @property
    def gpus_behind(self) -> float | None:
        return None


class TextModel(LocalModel):
    """One that writes text: its tokenizer and its context say what fits."""

    context: PositiveInt | None = None
    """Tokens of prompt and answer. Null: what the model declares."""
    template_arguments: dict[str, JsonValue] | None = None
    """Further variables of the model's chat template."""

    def tokenizer(self) -> chat.ChatTokenizer:
        return chat.load(model_folder.local_folder(self.model), self.template_arguments)

    def context_length(self) -> int | None:
        return (
            self.context if self.context is not None else model_folder.declared_context(self.model)
        )


class OneDevice(LocalModel):
    """One that works in batches on one device of the worker."""

    model: str = "package:models/tiny"
    """A folder, OWNER/NAME on the Hugging Face hub, or package:models/NAME."""
    batch_size: PositiveInt = 16
    """Requests answered together."""
    threads: PositiveInt = 1
    """Threads of one worker on the CPU.

    Sums are added in an order that depends on it: another number may give other answers.
    """
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is a GPU, else the CPU."""

    @property
    def cpus(self) -> float:
        return self.threads

    @property
    def gpus(self) -> float:
        return 0 if self.device == "cpu" else 1

    @property
    def streams(self) -> int:
        return 1

    def refuse_machine(self) -> None:
        refuse_absent(self.device)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """The block loads the model. Raises EngineError if there is not enough memory for it."""
        import torch

        try:
            yield
        except RuntimeError as error:
            full = isinstance(error, torch.OutOfMemoryError)
            if not full and NO_CPU_MEMORY not in str(error):
                raise
            raise EngineError(
                f"{'the GPU' if full else 'the machine'} has too little memory for {self.model} "
                f"with rows for {self.batch_size} requests",
                "lower the engine's batch_size, set its dtype to bfloat16, or take a smaller model",
            ) from error
