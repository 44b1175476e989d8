"""An optional judge: the same engine grades each row that is kept, beside its passage.

A judge is a prompt file with `scores`. It is asked behind the rows of a shard, because one engine
answers one stream at a time. Until then the rows wait in a file. Grades become columns,
`judge_NAME`, beside the tokens that they took. A row that is too long for the judge, or gets no
grades from it, has none, and stays.
"""

import itertools
import os
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.settings import Settings
from corpusmill.prompts import loader
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.engines.contract import Completion, Engine, Request
from corpusmill.stages.engines.reasoning import without_reasoning
from corpusmill.stages.synthesize import postfilters
from corpusmill.stages.synthesize.finished_rows import Finished
from corpusmill.stages.synthesize.ledger import Ledger
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.planner import Planner
from corpusmill.stages.synthesize.postfilters import Context, Rejection, clean, excerpt

_HIGHEST = 5.0
_FILE = "judged.pickle"
TOKENS = ("judging_prompt_tokens", "judging_output_tokens")  # columns, empty if it was not asked


class Judge(Settings):
    """Grades for the rows that are kept, by the engine that wrote them."""

    prompt: str = "judge"
    """A prompt file with `scores`: its shipped name or its path."""
    least: dict[str, float] = {}
    """Score -> its threshold, from 0 to 5. A row with a lower grade is dropped."""

    def loaded(self) -> Prompt:
        """The prompt. Raises RecipeError if it has no scores, or not those of `least`."""
        prompt = loader.load(self.prompt)
        postfilters.check(prompt)
        if not prompt.scores:
            raise RecipeError(f"{prompt.path} has no `scores`", "name those that its answer gives")
        for name, least in self.least.items():
            if name not in prompt.scores:
                raise RecipeError(
                    f"synthesize.judge.least: {prompt.path} has no score {name!r}",
                    nearest(name, prompt.scores, "it has"),
                )
            if not 0 <= least <= _HIGHEST:
                raise RecipeError(f"synthesize.judge.least.{name} is {least}", "wanted: 0 to 5")
        return prompt


def columns(prompt: Prompt) -> list[pa.Field]:
    return [
        *(pa.field(_column(name), pa.float32()) for name in prompt.scores),
        *(pa.field(name, pa.int32()) for name in TOKENS),
    ]


@dataclass(frozen=True)
class Bench:
    """Where rows are judged: the prompt, the thresholds, and what asks."""

    prompt: Prompt
    least: Mapping[str, float]
    planner: Planner
    engine: Engine
    known: Ledger
    folder: str  # local, for the rows that wait

    def judged(self, rows: Iterable[tuple[PlannedRow, Finished]]) -> Iterator[Finished]:
        """The finished rows in their order, with grades. Some are now rejected."""
        path = os.path.join(self.folder, _FILE)
        with open(path, "wb") as file:
            for planned, finished in rows:
                passage = planned.passage if not finished.rejection else ""
                pickle.dump((passage, planned.seed, finished), file)
        judged = self._answers(path)
        for number, (_, _, finished) in enumerate(_read(path)):
            yield self._with(finished, *judged[number]) if number in judged else finished
        os.remove(path)

    def _answers(self, path: str) -> dict[int, tuple[dict[str, float], tuple[int, int]]]:
        """Number of a row in the file -> its grades, and the tokens in and out for them."""
        found: dict[int, tuple[dict[str, float], tuple[int, int]]] = {}
        asked: dict[int, tuple[int, Request]] = {}
        indices = itertools.count()

        def requests() -> Iterator[Request]:
            for number, (passage, seed, finished) in enumerate(_read(path)):
                request = None if finished.rejection else self._request(passage, seed, finished)
                if request is None:
                    continue
                answer = self.known.get(request)
                if answer is not None:
                    found[number] = self._read_grades(answer), _tokens(request, answer)
                    continue
                asked[next(indices)] = (number, request)
                yield request

        for index, answer in self.engine.answers(requests()):
            number, request = asked.pop(index)
            self.known.add(request, answer)
            found[number] = self._read_grades(answer), _tokens(request, answer)
        return found

    def _request(self, passage: str, seed: int, finished: Finished) -> Request | None:
        tokenizer, limits = self.planner.tokenizer, self.prompt.limits
        both = f"Passage:\n{passage}\n\nText made from it:\n{finished.row['text']}"
        turns = self.prompt.messages(tokenizer.defuse(both))
        ids = tokenizer.prompt_ids([turns])[0]
        if len(ids) > self.planner.input_limit(self.prompt):
            return None
        sampling = self.prompt.sampling
        return Request(
            token_ids=tuple(ids),
            messages=tuple(tokenizer.messages(turns)),
            max_tokens=limits.max_output_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=seed,
            stop=self.prompt.stop,
        )

    def _read_grades(self, answer: Completion) -> dict[str, float]:
        text = without_reasoning(answer.text) if answer.finish_reason == "stop" else None
        if text is None:
            return {}
        result = clean(text, self.prompt, Context("", 0, self.prompt.lead_in, 0))
        return {} if isinstance(result, Rejection) else grades_of(result, self.prompt.scores)

    def _with(
        self, finished: Finished, grades: Mapping[str, float], tokens: tuple[int, int]
    ) -> Finished:
        graded = {_column(name): grade for name, grade in grades.items()}
        row = {**finished.row, **graded, **dict(zip(TOKENS, tokens, strict=True))}
        low = {name: grade for name, grade in grades.items() if grade < self.least.get(name, 0)}
        if not low:
            return Finished(row, finished.text_tokens, finished.rejection)
        name, grade = next(iter(low.items()))
        detail = f"{name}={grade:g} < {self.least[name]:g}: {excerpt(row['text'])}"
        return Finished(row, rejection=Rejection("judged_low", detail))


def grades_of(text: str, scores: Iterable[str]) -> dict[str, float]:
    """The grades in an answer: the last line that begins with each score. Others are left out."""
    found = {}
    for name in scores:
        lines = re.findall(
            rf"^\W*{re.escape(name)}\W*?(\d+(?:[.,]\d+)?)", text, re.IGNORECASE | re.MULTILINE
        )
        if lines and float(lines[-1].replace(",", ".")) <= _HIGHEST:
            found[name] = float(lines[-1].replace(",", "."))
    return found


def _tokens(request: Request, answer: Completion) -> tuple[int, int]:
    return answer.n_prompt_tokens or len(request.token_ids), answer.n_output_tokens


def _column(name: str) -> str:
    return f"judge_{name}"


def _read(path: str) -> Iterator[tuple[str, int, Any]]:
    """What `judged` wrote, row by row. The file is ours and of this run."""
    with open(path, "rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return
