"""The top of the page: what came in, what came out and what it cost, in a few sentences."""

from dataclasses import dataclass, field

from corpusmill.manifests.looking.inspect import StageRow
from corpusmill.manifests.looking.tables import size_text
from corpusmill.report.reading.run import Run
from corpusmill.report.sections.chains import Chain
from corpusmill.report.sections.training import Training


@dataclass(frozen=True)
class Card:
    """A number of the headline. note: what it stands for, smaller."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Headline:
    """sentences: the run in short. warnings: what somebody should look at."""

    sentences: list[str]
    cards: list[Card]
    warnings: list[str] = field(default_factory=list)


def headline(
    run: Run, chains: list[Chain], trainings: list[Training], price_per_hour: float | None = None
) -> Headline:
    """The headline of a run. price_per_hour: of one hour of one worker, in any currency."""
    found = Headline([], [], _warnings(run))
    if chains:
        _add_documents(found, run, chains)
    _add_tokens(found, run)
    _add_synthesis(found, run)
    for training in trainings:
        _add_loss(found, training)
    seconds = sum(row.seconds for row in run.accounts)
    found.cards.append(Card("worker time", duration(seconds), _slowest(run.accounts)))
    if price_per_hour is not None:
        cost = seconds / 3600 * price_per_hour
        note = f"at {price_per_hour:g} an hour of one worker"
        found.cards.append(Card("cost", f"{cost:,.2f}", note))
    return found


def _add_documents(found: Headline, run: Run, chains: list[Chain]) -> None:
    main = chains[0]
    share = _percent(main.kept, main.rows_in)
    came = sum(chain.rows_in for chain in chains)
    found.cards.append(Card("documents in", f"{came:,}", _inputs(run, chains)))
    found.cards.append(Card("documents out", f"{main.kept:,}", f"{share} kept, by {_last(main)}"))
    steps = _listed([link.name for link in main.links])
    sentence = f"Of {main.rows_in:,} documents, {main.kept:,} ({share}) passed {steps}."
    reasons = [
        (rows, reason, link.name)
        for link in main.links
        for reason, rows in link.reasons
        if "other reasons" not in reason
    ]
    if reasons:
        rows, reason, step = max(reasons)
        sentence += (
            f" The most frequent reason to leave was {reason}, in {step}: "
            f"{_percent(rows, main.rows_in)} of all."
        )
    found.sentences.append(sentence)


def _add_synthesis(found: Headline, run: Run) -> None:
    written = [row for stage in run.of("synthesize") for row in stage.rows]
    if not written:
        return
    kept = sum(row.kept for row in written)
    asked = kept + sum(sum(row.excluded.values()) + row.failed for row in written)
    found.cards.append(Card("synthetic documents", f"{kept:,}", f"of {asked:,} answers"))
    found.sentences.append(
        f"A language model gave {asked:,} answers, of which {kept:,} passed every check."
    )


def _add_loss(found: Headline, training: Training) -> None:
    held_out = training.last_held_out
    loss = training.last if held_out is None else held_out
    if loss is None:
        return
    kind = "the last batch" if held_out is None else "held-out text"
    found.cards.append(Card("loss", f"{loss:.2f}", f"nats a token, {kind}"))
    found.sentences.append(f"The model's loss on {kind} is {loss:.2f} nats a token.")


def _add_tokens(found: Headline, run: Run) -> None:
    """Tokens of the last verb that counts them: pack, else blend, else any other.

    Several steps of a verb are not added up, as they may hold the same documents. Those that
    another one was made from are left out.
    """
    for verb in ("pack", "blend", "classify", "dedup", "filter", "extract"):
        counted = [(sum(row.tokens for row in stage.rows), stage) for stage in run.of(verb)]
        counted = [(tokens, stage) for tokens, stage in counted if tokens]
        if not counted:
            continue
        earlier = {before.place for _, stage in counted for before in run.ancestors(stage)}
        last = [(tokens, stage) for tokens, stage in counted if stage.place not in earlier]
        said = []
        for tokens, stage in sorted(last, key=lambda item: -item[0]):
            size = size_text(sum(row.text_bytes for row in stage.rows))
            found.cards.append(Card("tokens out", f"{tokens:,}", f"{size}, in {stage.name}"))
            said.append(f"{stage.name} holds {tokens:,} tokens ({size})")
        found.sentences.append(
            f"The corpus holds {found.cards[-1].value} tokens ({found.cards[-1].note})."
            if len(said) == 1
            else f"{_listed(said)}."
        )
        return


def _inputs(run: Run, chains: list[Chain]) -> str:
    files = {
        parent.path
        for chain in chains
        for parent in chain.stages[0].manifest.parents
        if parent.path not in run.by_place
    }
    return f"from {len(files):,} file{'s' * (len(files) != 1)}" if files else ""


def _last(chain: Chain) -> str:
    return f"{len(chain.links)} steps" if len(chain.links) > 1 else chain.links[0].name


def _slowest(rows: list[StageRow]) -> str:
    slowest = max(rows, key=lambda row: row.seconds, default=None)
    return f"most in {slowest.name}" if slowest and slowest.seconds else ""


def _warnings(run: Run) -> list[str]:
    found = list(run.problems)
    for row in run.accounts:
        if row.quarantined:
            found.append(f"{row.name}: {len(row.quarantined):,} shards failed and are missing")
        if row.missing_tokens:
            found.append(
                f"{row.name} gave {row.missing_tokens:,} tokens less than it was asked for"
            )
        if not row.kept:
            found.append(f"{row.name} kept nothing")
    for stage in run.of("synthesize"):
        for prompt, measures in stage.manifest.measures.get("diversity", {}).items():
            found += [f"{stage.name}, prompt {prompt}: {text}" for text in measures["warnings"]]
    found += [f"{item.folder} is not finished" for item in run.unfinished]
    found += [f"{folder} was made from inputs that have changed since" for folder in run.outdated]
    return found


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{share:.1f} %"


def duration(seconds: float) -> str:
    """E.g. `42 s`, `3.5 min`, `12.0 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
