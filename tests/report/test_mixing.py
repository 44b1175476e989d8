"""The section on a search for a mixture, of a small real one."""

import json
import re
import shutil

import pytest
from corpusmill.report.drawing.picture import NARROW, WIDE, Box, Path
from corpusmill.report.drawing.scatter import LEFT, TOP, scatter
from corpusmill.report.drawing.weights import weights
from corpusmill.report.page import render
from corpusmill.report.reading.run import Run
from corpusmill.report.sections.mixing import Source, mixings

from tests.stages.ablate.arms import lists, sums
from tests.stages.mix.test_mix import mix, pooled


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A run with a check, which says that sums become better."""
    folder = tmp_path_factory.mktemp("searched")
    pooled(folder, lists=lists(0, 40), sums=sums(0, 20))
    _, found = mix(folder, folder, runs=6, objective={"sums": 1}, check=[3])
    return str(folder), found


def test_the_section_holds_what_the_search_found(searched):
    folder, found = searched
    (mixing,) = mixings(Run(folder))
    assert {one.name: one.proposed for one in mixing.sources} == found["weights"]
    (sums_domain,) = mixing.domains
    assert sums_domain.rank == found["rank_correlation"]
    assert len(sums_domain.points) == len(mixing.proxies) == 6
    best, *_, worst = mixing.proxies
    assert best.measured < worst.measured
    assert best.shares[0][0] == "sums"
    assert sum(share for _, share in best.shares) == pytest.approx(1, abs=1e-4)
    assert (best.predicted, best.measured) in sums_domain.points
    checks = {check.task: check for check in mixing.check}
    assert checks["sums"].predicted == pytest.approx(-found["gain"]["value"])
    assert checks["sums"].measured < 0
    assert checks["lists"].predicted is None  # the objective leaves it out


def test_the_page_shows_it(searched):
    page = render(searched[0])
    assert '<a href="#mixing">Mixture</a>' in page
    section = page[page.index('<section id="mixing">') :]
    assert "6 proxy runs of 3,072 tokens each" in section
    assert section.count("<title>predicted ") == 6
    assert "The check" in section
    assert "The 6 proxy runs, the best first" in section
    (mixing,) = mixings(Run(searched[0]))
    assert ('class="warning"' in section) == bool(mixing.doubt)


def test_the_page_warns_where_the_summary_does(searched, tmp_path):
    shutil.copytree(searched[0], tmp_path / "run")
    path = tmp_path / "run/mix/proposal.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "rank_correlation": 0.5}))
    assert "The regression hardly orders the runs" in render(str(tmp_path / "run"))


def dots_of(picture):
    """The left ends of the dots."""
    paths = [one.d for one in picture.shapes if isinstance(one, Path) and one.look == "key"]
    return [tuple(map(float, re.findall(r"[\d.]+", path)[:2])) for path in paths]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_proposal_lies_where_its_share_says(width):
    sources = [
        Source("code", 0.5, 0.25, 0.0, 0.5, 1.0),
        Source("a-source-of-a-very-long-name", 0.5, 0.75, 0.5, 1.0, 1.0),
    ]
    picture = weights(sources, width)
    bars = [shape for shape in picture.shapes if isinstance(shape, Box) and shape.title]
    dots = [x + 5 for x, _ in dots_of(picture)]
    for bar, dot in zip(bars, dots, strict=True):
        assert dot == pytest.approx(bar.x + bar.width / 2, abs=0.1)
        assert 0 <= bar.x <= bar.x + bar.width <= width
    for words in picture.words:
        left = words.x - 7 * len(words.text) * {"start": 0, "middle": 0.5, "end": 1}[words.anchor]
        assert left >= -4


def test_a_run_predicted_as_measured_lies_on_the_line():
    picture = scatter("code", [(1.0, 1.0), (3.0, 3.0)])
    (x, y), (_, upper) = dots_of(picture)
    # The room beside the points is the same on both axes.
    assert (x + 4 - LEFT) / (picture.width - LEFT) == pytest.approx(
        (upper - TOP) / (176 - TOP), abs=0.01
    )
    assert y > upper
    assert scatter("one run", [(2.0, 2.0)]).shapes
