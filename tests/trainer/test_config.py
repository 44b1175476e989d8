"""Configurations are built from plain data and checked. Errors say what to do."""

import subprocess
import sys
from pathlib import Path

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer.__main__ import read_config
from corpusmill.trainer.checkpoint import differences
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.model import parameter_count

CONFIGS = Path(__file__).parents[2] / "trainer" / "configs"


def plain(make_config, **changes):
    return {**make_config().model_dump(mode="json"), **changes}


def test_plain_data_builds_the_configuration_it_came_from(make_config):
    config = make_config()
    assert build_settings(TrainConfig, config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lerning_rate": 1.0}, "unknown key lerning_rate; did you mean 'learning_rate'"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'; wanted: float above 0"),
        ({"steps": 5.5}, "steps is 5.5"),
        ({"compile": 3}, "compile is 3; wanted: true | false"),
        ({"warmup_steps": -3}, "warmup_steps is -3"),
        ({"seed": -1}, "seed is -1"),
        ({"weight_decay": -1.0}, "weight_decay is -1"),
        ({"pack": "best-fit"}, "pack is 'best-fit'; wanted: concat \| pad \| best_fit"),
        ({"tokens": 1000}, "exactly one of steps, tokens and epochs"),
        ({"steps": None}, "exactly one of steps, tokens and epochs"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"micro_batch_size": 3}, "micro_batch_size 3 does not divide batch_size 4"),
        ({"eval_fraction": 1.5}, "eval_fraction is 1.5"),
        ({"eval_every": 5}, "nothing is held out"),
        ({"model": None}, "model is null; wanted: mapping with pattern"),
    ],
)
def test_wrong_values_are_named(make_config, changes, message):
    with pytest.raises(RecipeError, match=message):
        build_settings(TrainConfig, plain(make_config, **changes))


def test_only_the_default_warm_up_shortens_with_the_run(make_config):
    config = build_settings(TrainConfig, plain(make_config, warmup_steps=None, steps=6))
    assert (config.warmup(6), config.warmup(500), config.warmup(5000)) == (0, 50, 100)
    with pytest.raises(RecipeError, match="warmup_steps 100 is not less than the 6 steps"):
        build_settings(TrainConfig, plain(make_config, warmup_steps=100, steps=6))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": "M-E*-"}, r"holds \['E'\]"),
        ({"pattern": "M-M-"}, "no attention layer"),
        ({"mamba_groups": 3}, "4 Mamba heads do not divide into 3 groups"),
        ({"key_value_heads": 4}, "2 attention heads cannot share 4"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"key_value_heads": 0}, "key_value_heads is 0"),
    ],
)
def test_impossible_shapes_are_named(make_config, changes, message):
    mapping = plain(make_config)
    mapping["model"] = {**mapping["model"], **changes}
    with pytest.raises(RecipeError, match=message):
        build_settings(TrainConfig, mapping)


def test_a_missing_key_is_named(make_config):
    mapping = plain(make_config)
    del mapping["model"]["pattern"]
    with pytest.raises(RecipeError, match=r"model.pattern is missing"):
        build_settings(TrainConfig, mapping)


def test_differences_name_nested_values_and_leave_out_those_free_on_resume(
    make_config, small_model
):
    stored = make_config(log_every=3).model_dump(mode="json")
    stored["model"]["ffn_size"] = 128
    assert differences(stored, make_config(log_every=5)) == ["model.ffn_size was 128 and is now 64"]


@pytest.mark.parametrize(("name", "most"), [("tiny", 1_000_000), ("small-12m", 12_000_000)])
def test_shipped_configurations_build_and_stay_within_their_size(name, most):
    config = read_config(CONFIGS / f"{name}.yaml")
    assert 0.3 * most < parameter_count(config.model) <= most
    pattern = config.model.pattern
    assert pattern[0] == "M"  # the rules of arXiv 2504.03624, section 2.1
    assert pattern[-1] == "-"
    assert pattern.count("*") == pattern.count("*-")


def test_a_change_reaches_into_the_model():
    config = read_config(
        CONFIGS / "tiny.yaml", ["model.hidden_size=32", "steps=null", "tokens=1000"]
    )
    assert (config.model.hidden_size, config.steps, config.tokens) == (32, None, 1000)


def test_reading_a_configuration_needs_no_torch():
    program = "import sys, corpusmill.trainer.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
