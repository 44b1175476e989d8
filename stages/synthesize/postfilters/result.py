"""What a post-filter knows, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corpusmill.prompts.loader import Prompt
from corpusmill.prompts.properties import Property

_EXCERPT = 300
JOINT = "\n\n"  # between the passages of two documents


@dataclass(frozen=True)
class Context:
    """What a filter may know besides the answer.

    segment: the passage that was asked about. segment_tokens: its length in engine tokens.
    instruction: what was asked, without the passage. properties: those that a rubric asks for.
    parts: of a prompt about two documents, their passages. `segment` is both.
    """

    segment: str
    segment_tokens: int
    lead_in: str
    seed: int
    instruction: str = ""
    properties: Mapping[str, Property] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, prompt: Prompt, parts: Sequence[str], n_tokens: int, seed: int) -> "Context":
        """The context of an answer to a prompt. parts: the passage, or both of two documents."""
        asked = (prompt.lead_in, seed, prompt.instruction, prompt.properties)
        return cls(JOINT.join(parts), n_tokens, *asked, tuple(parts))


@dataclass(frozen=True)
class Rejection:
    """Why an answer is dropped: a word for it, and the measured value with an excerpt.

    reason: a bare word, or the whole code (with a dot) of what found it in the source, such as a
    reader of PDF files. failed: the engine gave no answer.
    """

    reason: str
    detail: str
    failed: bool = False

    def code(self, stage: str) -> str:
        """The reason code in the files of a stage."""
        if "." in self.reason:
            return self.reason
        return f"{'error_' if self.failed else ''}{stage}.{self.reason}"


Result = str | Rejection


def excerpt(text: str) -> str:
    """The beginning of a text on one line, for the detail of an exclusion."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _EXCERPT else flat[: _EXCERPT - 3] + "..."
