"""The state of a running job as a table for a terminal, and as a page that refreshes itself."""

import time
from dataclasses import dataclass, field
from typing import Any

from corpusmill.manifests.looking.tables import size_text
from corpusmill.pipeline.watching import StageState, State
from corpusmill.report.sections.headline import duration
from corpusmill.report.templating import environment, style

BAR = 24  # cells of a bar in a terminal


@dataclass
class Rates:
    """How fast the running stages are, from what was seen since `watch` began."""

    _first: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def seconds_left(self, state: StageState) -> float | None:
        """Seconds until the pass ends. None if it is too early to say."""
        now, key = time.monotonic(), (state.folder, state.pass_name)
        then, part = self._first.setdefault(key, (now, state.part))
        if state.part <= part or now - then < 2:
            return None
        return (now - then) * (1 - state.part) / (state.part - part)


@dataclass(frozen=True)
class Line:
    """A stage in words. look: a class of the page's style."""

    state: StageState
    left: float | None

    @property
    def words(self) -> str:
        state = self.state
        parts = [str(state.state)]
        if state.state is not State.FINISHED:
            if state.pass_name and state.pass_name != state.name:
                parts.append(f"pass {state.pass_name}")
            if state.shards:
                parts.append(f"{state.done:,} of {state.shards:,} shards")
            if state.note:
                parts.append(state.note)
        if self.left is not None:
            parts.append(f"{duration(self.left)} left")
        if state.failed:
            parts.append(f"{state.failed:,} failed")
        return ", ".join(parts)

    @property
    def rows(self) -> str:
        state = self.state
        return f"{state.rows:,} → {state.kept:,}" if state.rows else ""

    @property
    def speed(self) -> str:
        """Of one worker."""
        state = self.state
        return f"{state.rows / state.seconds:,.0f}/s" if state.rows and state.seconds else ""

    @property
    def who(self) -> str:
        holder = self.state.holder
        return f"{holder.host}, process {holder.process}" if holder else ""


def lines(states: list[StageState], rates: Rates) -> list[Line]:
    return [
        Line(state, rates.seconds_left(state) if state.state is State.RUNNING else None)
        for state in states
    ]


def watch_table(found: list[Line]) -> Any:
    """A rich table, a row a stage."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stage", "", "%", "documents", "per worker", "size", "time", "state"):
        left = name in ("stage", "", "state")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "state")
    for line in found:
        state = line.state
        cells = round(BAR * state.part)
        table.add_row(
            state.name,
            "█" * cells + "░" * (BAR - cells),
            f"{100 * state.part:.0f}",
            line.rows,
            line.speed,
            size_text(state.size) if state.size else "",
            duration(state.seconds),
            line.words + (f" ({line.who})" if line.who else ""),
        )
    return table


def watch_page(root: str, found: list[Line], seconds: float) -> bytes:
    """The page, which loads itself again every `seconds` until all stages are finished."""
    runs = any(line.state.state is State.RUNNING for line in found)
    page = (
        environment()
        .get_template("watch.html")
        .render(
            name=root,
            style=style(),
            lines=found,
            refresh=round(seconds) if runs or not found else None,
            now=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            command=next((line.state.command for line in found[::-1] if line.state.command), ""),
        )
    )
    return page.encode()
