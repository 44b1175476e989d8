"""What a run took, as the manifest tells it."""

from dataclasses import replace

import pytest
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.synthesize.usage import busy_seconds, summary

from tests.stages.engines.scripted_server import serving
from tests.stages.synthesize.test_synthesize import (
    PROSE,
    document,
    echo,
    run,
    stage_at,
    tokenizer_folder,  # noqa: F401 - a fixture
    write_shards,
)


def receipt(worker: str, started: float, seconds: float, tokens: int = 0, gpus: float = 0):
    counts = [Counts("synthesize", tokens=tokens)]
    return Receipt(
        *("synthesize", "synthesize", f"{worker}{started}", "p"),
        counts=counts,
        worker=worker,
        started=started,
        seconds=seconds,
        gpus=gpus,
    )


SHARDS = [receipt("a", 0, 10), receipt("a", 5, 10), receipt("a", 30, 5), receipt("b", 0, 10)]


@pytest.mark.parametrize(("together", "seconds"), [(False, 30), (True, 20)])
def test_shards_side_by_side_count_once(together, seconds):
    assert busy_seconds(SHARDS, together) == seconds


def test_the_time_of_a_run_that_was_cut_off_counts():
    resumed = [replace(each, earlier=[("c", -50, 10)]) for each in SHARDS[:2]]
    resumed[1].earlier += [("d", -45, 10)]
    assert busy_seconds(resumed, together=False) == 15 + 10 + 10
    assert busy_seconds(resumed, together=True) == 15 + 15


def test_gpu_hours_are_those_of_the_workers():
    done = {
        "0": receipt("a", 0, 3600, tokens=1_500_000, gpus=2),
        "1": receipt("b", 0, 3600, tokens=500_000, gpus=2),
    }
    prompts = {
        "rephrase": {"rows": 9, "kept": 8, "prompt_tokens": 8_000_000, "output_tokens": 4_000_000}
    }
    found = summary(prompts, done, EmbeddedEngine())
    assert (found["engine_hours"], found["gpus"], found["gpu_hours"]) == (2, 2, 4)
    assert found["gpu_hours_per_billion_tokens"] == {"read": 500, "written": 1000, "kept": 2000}
    assert found["output_tokens_per_second"] == pytest.approx(4e6 / (4 * 3600), abs=0.001)


def test_without_a_gpu_there_are_no_gpu_hours():
    prompts = {"rephrase": {"rows": 1, "kept": 1, "prompt_tokens": 100, "output_tokens": 200}}
    found = summary(prompts, {"0": receipt("a", 0, 10, tokens=50)}, EmbeddedEngine())
    assert found["gpu_hours"] is None
    assert found["output_tokens_per_second"] == 20


def test_of_servers_the_hours_are_those_of_the_clock():
    engine = OpenAIEngine(model="m", server_gpus=8)
    done = {str(number): receipt(f"w{number}", number, 3600 - number) for number in range(4)}
    prompts = {"rephrase": {"rows": 1, "kept": 1, "prompt_tokens": 1, "output_tokens": 10**9}}
    found = summary(prompts, done, engine)
    assert (found["engine_hours"], found["gpu_hours"]) == (1, 8)
    assert found["gpu_hours_per_billion_tokens"]["written"] == 8


def test_a_manifest_tells_what_its_run_took(tmp_path, tokenizer_folder):  # noqa: F811
    rows = [document("a"), document("b", f"{PROSE} {PROSE}"), document("c", "no.")]
    documents = write_shards(tmp_path, {"in/00.parquet": rows})
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder)
        engine = stage.engine.model_copy(update={"server_gpus": 4})
        stage = stage.model_copy(update={"engine": engine})
        manifest = run(stage, documents, tmp_path / "out")
        asked = len(server.seen)
        again = run(stage, documents, tmp_path / "out")
        assert len(server.seen) == asked
    took = manifest.measures["usage"]
    assert took["prompts"]["rephrase"]["rows"] == 3
    assert took["prompts"]["rephrase"]["output_tokens"] == 3 * asked
    rounded = 2.6e-6  # both to 1e-6, the engine's hours before they are times 4
    assert 0 < took["gpu_hours"] == pytest.approx(4 * took["engine_hours"], rel=0, abs=rounded)
    assert again.measures["usage"] == took
    assert again.digest == manifest.digest


def test_excluded_rows_are_not_kept_wherever_the_output_lies(tmp_path, tokenizer_folder):  # noqa: F811
    rows = [document("a"), document("b", "no.")]
    documents = write_shards(tmp_path, {"in/00.parquet": rows})
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder)
        manifest = run(stage, documents, tmp_path / "documents" / "out")
    took = manifest.measures["usage"]["prompts"]["rephrase"]
    assert (took["rows"], took["kept"]) == (2, 1)
