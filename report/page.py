"""One self-contained HTML page about a run, by Jinja2 templates. It loads nothing from anywhere.

Numbers come from the manifests. Histograms, sites and examples come from samples of bounded size
(`report.reading.sampling`), and the page says so where a sample is not the whole.
"""

import base64
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.package_data import package_file
from corpusmill.report.drawing.curves import Curve, curves
from corpusmill.report.drawing.graph import graph
from corpusmill.report.drawing.histogram import histogram
from corpusmill.report.drawing.picture import Both, both
from corpusmill.report.drawing.sankey import sankey
from corpusmill.report.drawing.scatter import scatter
from corpusmill.report.drawing.weights import weights
from corpusmill.report.reading.run import Run
from corpusmill.report.sections import examples
from corpusmill.report.sections.ablations import ablations
from corpusmill.report.sections.answers import labels, usage
from corpusmill.report.sections.chains import chains
from corpusmill.report.sections.classifiers import FIGURES, scorers
from corpusmill.report.sections.evaluations import evaluations
from corpusmill.report.sections.headline import headline
from corpusmill.report.sections.histograms import Distribution, measured
from corpusmill.report.sections.lineage import lineage
from corpusmill.report.sections.mixing import Domain, Source, mixings
from corpusmill.report.sections.prompts import prompts
from corpusmill.report.sections.provenance import provenance
from corpusmill.report.sections.shares import clusters, shares
from corpusmill.report.sections.sites import sites
from corpusmill.report.sections.stages import stage_lines
from corpusmill.report.sections.training import Training, trainings
from corpusmill.report.templating import environment, style


def write_report(root: str | os.PathLike[str], price_per_hour: float | None = None) -> str:
    """Write `<root>/report.html`. Returns its path.

    price_per_hour: of one hour of one worker, for the cost at the top. Raises InputError if `root`
    holds no finished stage.
    """
    root = os.fspath(root)
    path = storage.join(root, "report.html")
    storage.write_bytes(path, render(root, price_per_hour).encode())
    return path


def render(root: str, price_per_hour: float | None = None) -> str:
    """The page as HTML."""
    run = Run(root)
    ways = chains(run)
    logs = trainings(run)
    templates = environment()
    templates.filters.update(histogram=_histogram, weights=_weights, scatter=_scatter)
    script = package_file("report", "templates", "page.js").read_text("utf-8")
    return templates.get_template("page.html").render(
        name=run.name,
        style=style(),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        now=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        headline=headline(run, ways, logs, price_per_hour),
        provenance=provenance(run),
        chains=[(chain, both(_draw_sankey(chain))) for chain in ways if chain.rows_in],
        shares=shares(run, ways),
        stages=stage_lines(run),
        sites=sites(run, ways),
        clusters=[(stage.name, found) for stage in run.of("dedup") if (found := clusters(stage))],
        scorers=scorers(run),
        figures=FIGURES,
        levels=examples.levels(run),
        prompts=prompts(run),
        labels=labels(run),
        usage=usage(run),
        rewritten=examples.rewritten(run),
        edited=examples.edited(run),
        mixings=mixings(run),
        trainings=[(training, _charts(training)) for training in logs],
        evaluations=evaluations(run),
        ablations=ablations(run),
        measured=measured(run),
        dropped=examples.dropped(run),
        lineage=(nodes := lineage(run)),
        graph=both(lambda width: graph(nodes, width)),
    )


def _draw_sankey(chain: Any) -> Callable[[int], Any]:
    return lambda width: sankey(chain, width)


def _histogram(column: Distribution) -> Any:
    return histogram(column.name, column.kept, column.dropped, column.thresholds)


def _weights(sources: list[Source]) -> Both:
    return both(lambda width: weights(sources, width))


def _scatter(domain: Domain) -> Any:
    return scatter(domain.name, domain.points)


def _charts(training: Training) -> list[tuple[str, Both]]:
    """The pictures of a training, those without a point left out."""
    losses = [
        Curve("loss of batches", training.loss),
        Curve("held-out loss", training.held_out, "line1"),
    ]
    rate, speed = [Curve("learning rate", training.rate)], [Curve("tokens/s", training.speed)]
    return [
        (title, both(_draw_curves(lines, title)))
        for title, lines in (
            ("Loss, nats a token", losses),
            ("Learning rate", rate),
            ("Speed, tokens a second", speed),
            *((name, [Curve(name, points)]) for name, points in training.figures.items()),
        )
        if any(line.points for line in lines)
    ]


def _draw_curves(lines: list[Curve], title: str) -> Callable[[int], Any]:
    return lambda width: curves(lines, "step", title, width)
