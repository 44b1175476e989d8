"""Weights of `mix` in a blend: a file that is no proposal for it is refused before it is read."""

import json

import pytest
from corpusmill.manifests.errors import CorpusmillError, InputError, RecipeError
from corpusmill.manifests.settings import build_settings
from corpusmill.stages.blend.proposed import with_proposed_weights
from corpusmill.stages.blend.settings import BlendSettings
from corpusmill.stages.blend.stage import Blend

from tests.stages.small_corpus import documents, run, write_shard

SOURCES = {"code": {"input": "x"}, "math": {"input": "x", "weight": 5}}


def blend(tmp_path, proposal):
    text = proposal if isinstance(proposal, str) else json.dumps(proposal)
    (tmp_path / "proposal.json").write_text(text)
    return build_settings(Blend, {"sources": SOURCES, "weights": str(tmp_path)})


def test_a_proposal_for_the_sources_is_taken(tmp_path):
    config = blend(tmp_path, {"weights": {"code": 0.25, "math": 0.75}})
    found = {name: one.weight for name, one in with_proposed_weights(config).sources.items()}
    assert found == {"code": 0.25, "math": 0.75}
    before = config.depends_on()
    assert blend(tmp_path, {"weights": {"code": 0.5, "math": 0.5}}).depends_on() != before


@pytest.mark.parametrize(
    "proposal",
    [
        "",
        '{"weights": {"code": 0.5',
        [],
        {"shares": {}},
        {"weights": [1, 2]},
        {"weights": {"code": "much", "math": 1}},
        {"weights": {"code": -1, "math": 2}},
        '{"weights": {"code": NaN, "math": 2}}',
        {"weights": {"code": 0, "math": 0}},
    ],
)
def test_another_or_a_damaged_file_is_no_proposal(tmp_path, proposal):
    config = blend(tmp_path, proposal)
    with pytest.raises(InputError, match=r"proposal\.json is no proposal of mix"):
        config.depends_on()


def test_a_proposal_for_other_sources_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(RecipeError, match="the proposal has no source 'math'"):
        blend(tmp_path, {"weights": {"code": 1}}).depends_on()
    shard = write_shard(tmp_path / "in/0.parquet", documents("d", 4))
    settings = {"sources": {"web": {"input": shard}}, "weights": str(tmp_path)}
    with pytest.raises(CorpusmillError, match="the blend has no source 'code'"):
        run("blend", settings, tmp_path / "blend")
    assert not (tmp_path / "blend").exists()


def test_phases_may_weigh_categories_of_a_proposal_but_no_source():
    sources = {
        "crawl": {"input": "x", "category": "web"},
        "news": {"input": "x", "category": "web"},
    }

    def settings(**weights):
        phases = [{"length": 1, "weights": weights}]
        return {"sources": sources, "weights": "mix", "phases": phases}

    build_settings(BlendSettings, settings(web=1))
    with pytest.raises(RecipeError, match="weighs the source 'news', so its weight in mix"):
        build_settings(BlendSettings, settings(web=1, news=1))
