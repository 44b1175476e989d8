"""Mix: propose the weights of a blend from many small runs.

The method is RegMix (arXiv 2407.01492): small models are trained on mixtures of a seeded design, a
regression learns from them how the shares of the sources decide the loss on held-out text, and the
mixtures with the best predicted loss are averaged. The input is a pool: the packed blend of all
sources. `blend` takes the result with `weights`.

    measure  each token shard: source, key and tokens of every document
    design   the mixtures, and which documents each takes
    train    each mixture: a model, and its figures
    propose  the regression, the proposal, its interval
    check    with `check`: the natural mixture and the proposal, each with every seed
    mix      the results

    proposal.json             weights by source, what is predicted, how sure it is
    runs.csv                  shares and held-out figures of every run, measured and predicted
    summary.txt               the same for people
    curves/, items/           what each run measured, as in `ablate`

A mixture is a shard, so a stopped run goes on with the others, and more `runs` train alone. The
account counts a row of the pool once for each run: as kept if the mixture takes it.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Self

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.ablate.small_runs import SmallRuns, TaskFiles, tokens_of
from corpusmill.stages.contract import Account, Inputs, Pass, Passes, PassResult, Reads
from corpusmill.stages.mix.pool import SOURCE, measure
from corpusmill.stages.mix.proposal import least_runs
from corpusmill.stages.readers.documents import input_shards
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

NATURAL, PROPOSED = "natural", "proposed"  # the arms of the check


class Mix(SmallRuns):
    """Propose the weights of a blend from many small runs on mixtures of its sources."""

    name: ClassVar[str] = "mix"
    version: ClassVar[int] = 4
    account: ClassVar[Account] = Account.MANY_TO_ONE
    reads: ClassVar[Reads] = Reads.TOKENS
    # Which runs there are is no setting of a run, and neither is what is made of them.
    free_settings: ClassVar[tuple[str, ...]] = ("runs_per_gpu", "runs", "objective", "check")

    runs: PositiveInt = 64
    """Mixtures to train on, the natural one among them. RegMix takes 512 for 17 sources."""
    objective: dict[str, PositiveFloat] = {}
    """Held-out text or task of the gauge -> its weight in what is to become small. Empty: all
    alike.
    """
    tokens: PositiveInt | None = None
    """Tokens of the blend that the weights are for, in terms of the pool: a tenth, if the pool
    holds a tenth of your documents. Null: as many as the pool holds.
    """
    max_epochs: PositiveFloat = 4.0
    """How often that blend may repeat a source, at most: no mixture goes above it."""
    check: tuple[NonNegativeInt, ...] = ()
    """Seeds with which the natural mixture and the proposal are trained and compared in the end.
    Empty: none.
    """
    seed: NonNegativeInt = 0
    """Seed of the design, and of each run's first weights and order of the data."""
    readings: PositiveInt = 1
    """How often a model is measured while it trains."""
    last: PositiveInt = 1
    """Every figure is the mean of so many last readings."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = [task.name for task in self.gauge.chosen_tasks()]
        for name in self.objective:
            if name not in known:
                raise RecipeError(
                    f"objective weighs {name!r}, and gauge has no text or task of that name",
                    nearest(name, known, "it has"),
                )
        if len(set(self.check)) < len(self.check):
            raise RecipeError("check holds one seed twice", "give different seeds")
        return self

    @property
    def importance(self) -> dict[str, float]:
        """The weight of each held-out text or task in the objective, 1 in all."""
        given = self.objective or {task.name: 1.0 for task in self.gauge.chosen_tasks()}
        return {name: weight / sum(given.values()) for name, weight in sorted(given.items())}

    def blend_tokens(self, pool: int) -> int:
        """Tokens of the blend that the weights are for. pool: tokens of the pool."""
        return max(self.tokens or pool, self.tokens_of_a_run)

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return self.task_inputs()

    def passes(self, inputs: Inputs) -> Passes:
        pool = input_shards(inputs.documents, self.name)
        self._refuse_size(sum(map(tokens_of, pool.values())))
        self._refuse_nothing_to_measure(inputs)
        measured = yield Pass(
            name="measure",
            shards={name: (file,) for name, file in pool.items()},
            work=partial(measure, self.seed),
        )
        available = _available(measured)
        self._refuse_sources(available)
        weighed = measured.outputs()
        designed = yield Pass(
            name="design",
            shards={"design": weighed},
            work=partial(_design, self, available),
            depends_on=json.dumps([self.runs, available]),
        )
        (design,) = designed.outputs()
        files = tuple(pool[name] for name in sorted(measured.receipts))
        arms = json.loads(storage.read_bytes(design.path))["arms"]
        trained = yield self._trained("train", inputs, files, weighed, arms, (self.seed,))
        curves = trained.outputs("curves")
        proposed = yield Pass(
            name="propose",
            shards={"proposal": (design, *curves, *weighed)},
            work=partial(_propose, self, available),
            depends_on=json.dumps([self.importance, bool(self.check)]),
        )
        (proposal,) = proposed.outputs()
        checked: tuple[storage.Artifact, ...] = ()
        if self.check:
            arms = json.loads(storage.read_bytes(proposal.path))["arms"]
            compared = yield self._trained("check", inputs, files, weighed, arms, self.check)
            checked = compared.outputs()
        yield Pass(
            name=self.name,
            shards={"mix": (design, proposal, *curves, *checked)},
            work=partial(_write, self),
            depends_on=json.dumps([self.importance, list(self.check)]),
            final=True,
        )

    def _trained(
        self,
        name: str,
        inputs: Inputs,
        files: tuple[storage.Artifact, ...],
        measured: tuple[storage.Artifact, ...],
        arms: Mapping[str, Mapping[str, Any]],
        seeds: tuple[int, ...],
    ) -> Pass:
        """The pass that trains each arm with each seed. files: of the pool. measured: of each.
        arms: name -> what `work.arm_of` says of its mixture.
        """
        facts = {
            f"{arm}-{seed}": {"arm": arm, "seed": seed, "files": len(files), **mixture}
            for arm, mixture in arms.items()
            for seed in seeds
        }
        shards = dict.fromkeys(facts, (*files, *measured))
        work = partial(_train, self, self.task_files(inputs))
        return self.runs_pass(name, work, inputs, shards, facts)

    def _refuse_size(self, total: int) -> None:
        """Raises RecipeError if the pool is too small. total: its tokens."""
        if not total:
            raise RecipeError("the pool has no tokens", "check the blend that was packed")
        asked = self.blend_tokens(total)
        if asked > self.max_epochs * total:
            raise RecipeError(
                f"the pool has {total:,} tokens; {asked:,} are {asked / total:.2f} epochs",
                f"set mix.tokens and the length of training to at most "
                f"{int(self.max_epochs * total):,}, or raise mix.max_epochs",
            )

    def _refuse_sources(self, available: Mapping[str, int]) -> None:
        """Raises RecipeError if the sources of the pool allow no proposal."""
        sources = len(available)
        if sources < 2:
            raise RecipeError(
                f"the input has one source ({', '.join(available)}), and there is nothing to weigh",
                "blend all sources, pack the blend, and give that folder: the column `source` "
                "tells them apart",
            )
        if self.runs < least_runs(sources):
            raise RecipeError(
                f"runs is {self.runs}, too few for a regression on {sources} sources",
                f"set mix.runs to at least {least_runs(sources)}, better to {8 * sources}",
            )

    def _refuse_nothing_to_measure(self, inputs: Inputs) -> None:
        """Raises RecipeError if a domain has no text, before any run has begun."""
        from corpusmill.stages.evaluate.gauge import questions_of

        files = self.task_files(inputs)
        for task in self.gauge.gauge_tasks():
            questions_of(self.gauge, task, files[task.name])


def _available(measured: PassResult) -> dict[str, int]:
    """Tokens of each source, in order of the names."""
    found: dict[str, int] = {}
    for receipt in measured.receipts.values():
        for counts in receipt.counts:
            name = counts.stage.removeprefix(SOURCE)
            found[name] = found.get(name, 0) + counts.tokens
    return dict(sorted(found.items()))


def _design(settings: Mix, available: Mapping[str, int], shard: Shard) -> list[Counts]:
    from corpusmill.stages.mix.work import write_design

    write_design(settings, available, shard)
    return []


def _train(settings: Mix, tasks: TaskFiles, shard: Shard) -> list[Counts]:
    from corpusmill.stages.mix.work import train_mixture

    return train_mixture(settings, tasks, shard)


def _propose(settings: Mix, available: Mapping[str, int], shard: Shard) -> list[Counts]:
    from corpusmill.stages.mix.work import write_proposal

    write_proposal(settings, available, shard)
    return []


def _write(settings: Mix, shard: Shard) -> list[Counts]:
    from corpusmill.stages.mix.page import write_results

    write_results(settings, shard)
    return []
