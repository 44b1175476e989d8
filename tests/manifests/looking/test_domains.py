"""`domains` counts each site's documents from the first stage to the last."""

import json

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.domains import domains

from tests.command_line import corpusmill
from tests.report.small_run import make_run


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("domains"))


def test_every_document_counts_once_at_its_site(output):
    found = domains(output)
    assert (found.first, found.last) == ("extract", "dedup")
    assert {site.name: (site.rows_in, site.kept, dict(site.reasons)) for site in found.sites} == {
        "site2.example": (4, 2, {"recipe.few_words": 1, "dedup.exact": 1}),
        "site0.example": (3, 2, {"recipe.few_words": 1}),
        "site1.example": (3, 2, {"recipe.few_words": 1}),
    }
    for site in found.sites:
        assert site.rows_in == site.kept + site.reasons.total()


def test_a_run_without_urls_is_refused(tmp_path):
    (tmp_path / "in.txt").write_text("Some words about the river.")
    from corpusmill.pipeline.recipe import Step
    from corpusmill.pipeline.run import run_step
    from corpusmill.pipeline.runner import InlineRunner

    step = Step("extract", "extract", (), {"min_text_chars": 0})
    run_step(step, (str(tmp_path / "in.txt"),), str(tmp_path / "out"), InlineRunner())
    with pytest.raises(InputError, match="have no URLs"):
        domains(str(tmp_path / "out"))


def test_the_command_prints_the_worst_first(output, tmp_path):
    shown = corpusmill("domains", output, "--sort", "rate", "--most", "1", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[:4] for line in shown.stdout.splitlines()[1:2]] == [
        ["site2.example", "4", "2", "50.0"]
    ]
    assert "3 sites; in: read by extract, kept: by dedup" in shown.stdout
    as_json = json.loads(corpusmill("domains", output, "--json", cwd=tmp_path).stdout)
    assert as_json["sites"][0]["keep_rate"] == 0.5
