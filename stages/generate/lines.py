"""JSON lines out: the fields of each prompt's line, and its answers, in the order of the input."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corpusmill.stages.generate.records import Asked
from corpusmill.stages.generate.typed import Say

if TYPE_CHECKING:
    from corpusmill.trainer.generation.generator import Answer


class Lines:
    """Prints lines in the order of their prompts. Answers may come in any order; one prompt has
    `samples` of them.
    """

    def __init__(self, questions: Sequence[Asked], samples: int, say: Say) -> None:
        self._questions, self._samples, self._say = questions, samples, say
        self._lines: dict[int, dict[int, dict[str, Any]]] = {}  # by prompt, then by sample
        self._complete: set[int] = set()
        self._printed = 0

    def fail(self, place: int, problem: str) -> None:
        """A prompt that has no answer."""
        self._lines[place] = {0: {**self._questions[place].source, "answer": "", "error": problem}}
        self._complete.add(place)

    def add(self, place: int, sample: int, answer: "Answer") -> None:
        """One answer to a prompt."""
        lines = self._lines.setdefault(place, {})
        lines[sample] = _line(self._questions[place], answer)
        if len(lines) == self._samples:
            self._complete.add(place)

    def print_complete(self) -> None:
        """Print the prompts that no earlier one holds up."""
        while self._printed in self._complete:
            self._complete.remove(self._printed)
            for _, line in sorted(self._lines.pop(self._printed).items()):
                self._say(as_line(line))
            self._printed += 1


def as_line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _line(question: Asked, answer: "Answer") -> dict[str, Any]:
    line = {
        **question.source,
        "answer": answer.text,
        "finish_reason": answer.finish_reason,
        "n_prompt_tokens": len(question.ids),
        "n_output_tokens": len(answer.token_ids),
    }
    if answer.log_probabilities is not None:
        line |= {"tokens": answer.token_ids, "log_probabilities": answer.log_probabilities}
    return line
