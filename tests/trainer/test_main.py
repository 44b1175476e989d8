"""`python -m corpusmill.trainer`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from corpusmill.trainer import checkpoint
from corpusmill.trainer.__main__ import main, read_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def arguments(write_shards, random_documents, make_config, tmp_path):
    data = write_shards(random_documents)[0].parent
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(make_config().model_dump(mode="json")))
    return [str(config), "--data", str(data), "--output", str(tmp_path / "run")]


def test_it_trains_and_prints_a_line_a_step(arguments, tmp_path, capsys):
    assert main([*arguments, "--set", "steps=3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["1/3", "2/3", "3/3"]
    assert lines[3].startswith("trained 3 steps, 192 tokens")
    assert checkpoint.found(tmp_path / "run" / "checkpoints")[-1].name == "step-00000003"


@pytest.mark.parametrize("change", ["learning_rate=1e-4", "threads=2", "compile=true"])
def test_a_used_folder_is_refused_to_what_the_verb_refuses(arguments, capsys, change):
    """A run goes on only with other values of `free_settings`."""
    assert main([*arguments, "--set", "steps=3"]) == 0
    assert main([*arguments, "--set", "steps=3", "--set", "log_every=1"]) == 0
    capsys.readouterr()
    assert main([*arguments, "--set", "steps=3", "--set", change]) == 1
    error = capsys.readouterr().err
    assert f"another configuration: {change.partition('=')[0]} was" in error
    assert "another output folder" in error


def test_errors_are_one_line_with_the_mend(arguments, capsys):
    assert main([*arguments, "--set", "batch_size=0"]) == 1
    assert capsys.readouterr().err == "error: batch_size is 0; wanted: int of at least 1\n"


def test_a_missing_configuration_is_an_error_not_a_traceback(arguments, capsys):
    assert main(["nowhere.yaml", *arguments[1:]]) == 1
    assert "nowhere.yaml cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "mend"),
    [("steps", "key=value"), ("steps=[", "quote the value"), ("steps.a=1", "whole key")],
)
def test_a_change_that_cannot_be_made_is_one_line(arguments, capsys, change, mend):
    assert main([*arguments, "--set", change]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert mend in line


def test_an_exponent_without_a_dot_is_a_number(arguments):
    config = read_config(Path(arguments[0]), ["learning_rate=1e-4"])
    assert config.learning_rate == 1e-4


@pytest.mark.slow
def test_it_needs_few_libraries(arguments):
    program = f"""
import sys
for name in ("ray", "fsspec", "transformers", "tokenizers", "typer", "rich", "zstandard", "numba"):
    sys.modules[name] = None
from corpusmill.trainer.__main__ import main
sys.exit(main({arguments!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
