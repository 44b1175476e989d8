"""A run that is killed several times and then finished has the bytes of an undisturbed run.

It is killed at random times. The recipe is the demo's, on a few pages and with small models, so
that one run takes about twenty seconds.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpusmill.manifests.looking.inspect import inspect
from corpusmill.manifests.looking.trace_text import sequence_text
from corpusmill.pipeline.kernels import ensure_compiled
from corpusmill.stages.train.sequence import trace_sequence

ROOT = Path(__file__).parent.parent.parent
KILLS = 10
KILLS_A_RUN = 5  # then the run is left to finish and compared, and a new one begins
RUNNERS = ("inline", "ray")  # of one run after the other, over and over
# Shares of an undisturbed run after which it is killed. Five such times reach its end together,
# though each new process first needs some seconds to start.
EARLIEST, LATEST = 0.1, 0.65


def command(output, runner):
    return [
        *(
            sys.executable,
            "-m",
            "corpusmill.cli",
            "run",
            str(ROOT / "tests" / "pipeline" / "kill.yaml"),
        ),
        *("--output", str(output), "--runner", runner),
    ]


TIMES = {"seconds", "started", "earlier", "worker", "timing", "date", "command"} | {
    *("engine_hours", "gpu_hours", "gpu_hours_per_billion_tokens", "output_tokens_per_second"),
}
OF_THE_MACHINE = ("tokens_per_second", "seconds_left", "mfu", "memory_gb")


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def contents(output):
    """Every file below `output` as bytes.

    Receipts, manifests and the log have no times and no worker names.
    """
    found = {}
    for path in sorted(output.rglob("*")):
        if not path.is_file() or path.name == "report.html":
            continue
        name = str(path.relative_to(output))
        data = path.read_bytes()
        if name.endswith("log.jsonl"):
            lines = [json.loads(line) for line in data.decode().splitlines()]
            data = json.dumps(
                [
                    {key: value for key, value in line.items() if key not in OF_THE_MACHINE}
                    for line in lines
                ]
            ).encode()
        elif name.endswith("work/inputs.json"):
            data = b""
        elif "/receipts/" in name or name.endswith("manifest.json"):
            plain = json.dumps(without_times(json.loads(data)), sort_keys=True)
            data = plain.replace(
                str(output), "OUTPUT"
            ).encode()  # receipts name what they read by its path
        found[name] = data
    return found


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def run_to_the_end(output, runner):
    started = time.monotonic()
    subprocess.run(
        command(output, runner), env=environment(), check=True, capture_output=True, timeout=500
    )
    return time.monotonic() - started


def kill_after(output, runner, seconds):
    """Start the run and kill its process group after `seconds`. Returns whether it still ran."""
    process = subprocess.Popen(
        command(output, runner),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """An undisturbed run, and the seconds that it takes with compiled kernels."""
    ensure_compiled(print)
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder / "whole", run_to_the_end(folder / "whole", "inline")


def test_a_training_sequence_leads_to_its_sources(uninterrupted):
    found = trace_sequence(str(uninterrupted[0]), "3")
    assert found["documents"]
    for document in found["documents"]:
        origin = document.get("parent", document)["origin"]
        assert origin["file"].endswith(("flink-000.warc.gz", "word_problems.jsonl.zst"))
        assert document["end"] > document["start"]
    assert json.loads(json.dumps(found)) == found
    assert all(document["id"] in sequence_text(found) for document in found["documents"])


def test_the_funnel_lists_side_products_before_the_stages_that_use_them(uninterrupted):
    stages = [row.stage for row in inspect(str(uninterrupted[0]))]
    assert stages.index("classify_train") < stages.index("classify")
    assert (
        stages.index("tokenizer")
        < stages.index("blend")
        < stages.index("pack")
        < stages.index("train")
    )


@pytest.mark.timeout(900)
def test_ten_kills_change_no_byte(uninterrupted, tmp_path):
    untouched, whole = uninterrupted
    expected = contents(untouched)
    dice = random.Random(20261124)
    killed, log, attempt = 0, [], 0
    while killed < KILLS:
        attempt += 1
        output, runner = tmp_path / f"killed-{attempt}", RUNNERS[(attempt - 1) % len(RUNNERS)]
        for _ in range(KILLS_A_RUN):
            seconds = dice.uniform(EARLIEST, LATEST) * whole
            alive = kill_after(output, runner, seconds)
            done = sorted(path.parent.name for path in output.glob("*/manifest.json"))
            end = "killed" if alive else "finished"
            log.append(
                f"run {attempt} ({runner}): {end} after {seconds:.1f} s, "
                f"complete stages: {' '.join(done) or 'none'}"
            )
            if not alive:
                # The machine is faster now, or less work was left. So kill earlier.
                whole *= 0.8
                break
            killed += 1
        run_to_the_end(output, runner)
        found = contents(output)
        differing = [
            name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)
        ]
        assert not differing, "\n".join(log)
    print("\n".join(log))
    assert killed >= KILLS
