"""What the command line of `corpusmill generate` says."""

from dataclasses import dataclass, field

from corpusmill.manifests.errors import InputError
from corpusmill.stages.generate.records import Record


@dataclass(frozen=True)
class Options:
    """prompt: a text. input: a file of JSON lines; `-` is standard input. Without both, standard
    input is the prompt. images: files to read, with a model that reads images; the prompt is then
    what is asked about each. samples: answers to
    each prompt. slots: prompts that are answered at the same time.

    Raises InputError if options exclude one another.
    """

    model: str
    defaults: Record = field(default_factory=Record)
    prompt: str | None = None
    input: str | None = None
    images: tuple[str, ...] = ()
    tokenizer: str | None = None
    chat: bool = False
    samples: int = 1
    log_probabilities: bool = False
    as_json: bool = False
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 1
    slots: int = 16

    def __post_init__(self) -> None:
        if self.prompt is not None and self.input is not None:
            raise InputError("there are both --prompt and --input", "give one of them")
        if not self.images:
            return
        chosen = {
            "--input": self.input is not None,
            "--chat": self.chat,
            "--n": self.samples > 1,
            "--log-probabilities": self.log_probabilities,
            "--stop": bool(self.defaults.stop),
        }
        if unused := [name for name, is_set in chosen.items() if is_set]:
            raise InputError(
                f"--image does not use {' and '.join(unused)}",
                "leave it out: the model reads the whole image and always takes the likeliest text",
            )

    def slots_for(self, prompts: int) -> int:
        """No more slots than prompts: each takes memory."""
        return max(1, min(self.slots, prompts * self.samples))
