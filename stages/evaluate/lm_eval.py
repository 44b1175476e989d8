"""Our models inside lm-evaluation-harness, for the tasks that only it has.

    from corpusmill.stages.evaluate.lm_eval import Corpusmill
    lm_eval.simple_evaluate(model=Corpusmill("OUT/export"), tasks=["blimp"])

lm-eval is an extra: `pip install 'corpusmill[lm-eval]'`. After the import, `simple_evaluate` also
knows the model by its name, `corpusmill`, with `model_args="folder=OUT/export"`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpusmill.evaluation.scoring import Piece, score, windows_of
from corpusmill.stages.evaluate.stage import Evaluate
from corpusmill.stages.evaluate.writing import writer
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model

_FIELDS = Evaluate.model_fields.keys()  # lm-eval gives every model some settings of its own


@register_model("corpusmill")
class Corpusmill(TemplateLM):  # type: ignore[misc]
    """A checkpoint, an export or a transformers folder, scored and generated as `evaluate` does.

    folder: local. settings: as of the stage, without tasks.
    """

    def __init__(self, folder: str, batch_size: Any = None, **settings: Any) -> None:
        super().__init__()
        named = {name: value for name, value in settings.items() if value is not None}
        self.settings = Evaluate(**{name: named[name] for name in named.keys() & _FIELDS})
        self.folder = Path(folder)
        self.tokenizer = self.settings.checked_tokenizer(folder)
        self.model = self.settings.model(self.folder, self.tokenizer)
        self.reading = self.settings.reading(self.tokenizer, self.model)

    @property
    def eot_token_id(self) -> int:
        return self.tokenizer.eos if self.tokenizer.eos is not None else self.reading.prefix

    @property
    def prefix_token_id(self) -> int:
        return self.reading.prefix

    @property
    def max_length(self) -> int:
        return self.reading.context or 1 << 30

    def tok_encode(self, string: str, **_: Any) -> list[int]:
        return [*self.reading.start, *self.tokenizer.encode([string])[0]]

    def _loglikelihood_tokens(
        self, requests: Sequence[Any], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        """Longer requests lose the beginning of their context, as lm-eval wants it."""
        pieces = [
            Piece(tuple(context)[-max(1, self.max_length - len(ids) + 1) :], tuple(ids))
            for _, context, ids in requests
        ]
        found = score(self.model, pieces, self.settings.batch())
        return [(item.loglikelihood, item.greedy) for item in found]

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        texts = [request.args[0] for request in requests]
        windows = [
            windows_of(ids, self.reading.prefix, self.max_length)
            for ids in self.tokenizer.encode(texts)
        ]
        pieces = [piece for text in windows for piece in text]
        found = iter(score(self.model, pieces, self.settings.batch()))
        return [sum(next(found).loglikelihood for _ in text) for text in windows]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        answers: dict[int, str] = {}
        groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        for number, request in enumerate(requests):
            wanted = request.args[1]
            until = wanted.get("until") or []
            stop = (until,) if isinstance(until, str) else tuple(until)
            groups.setdefault((int(wanted.get("max_gen_toks", 256)), stop), []).append(number)
        settings = self.settings
        write = writer(
            self.model, self.folder, self.tokenizer, settings.engine, settings.generate_batch
        )
        for (most, stop), numbers in groups.items():
            prompts = [
                self.tok_encode(requests[n].args[0])[-max(1, self.max_length - most) :]
                for n in numbers
            ]
            answers.update(zip(numbers, write(prompts, most, stop), strict=True))
        return [answers[number] for number in range(len(requests))]
