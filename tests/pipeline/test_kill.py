"""A run that is killed at random points, again and again, and then finished, is byte for byte the run that nobody touched.

The recipe is the demo's, on a few pages and with small models, so that one run takes some twenty seconds.
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

ROOT = Path(__file__).parent.parent.parent
KILLS = 10
KILLS_A_RUN = 3  # then the run is left to finish and compared, and a new one begins


def command(output, runner):
    return [
        *(sys.executable, str(ROOT / "cli.py"), "run", str(ROOT / "tests" / "pipeline" / "kill.yaml")),
        *("--output", str(output), "--runner", runner),
    ]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def contents(output):
    """Every file below `output` as bytes; receipts, manifests and the log without their times and worker names."""
    found = {}
    for path in sorted(output.rglob("*")):
        if not path.is_file() or path.name == "report.html":
            continue
        name = str(path.relative_to(output))
        data = path.read_bytes()
        if name.endswith("log.jsonl"):
            lines = [json.loads(line) for line in data.decode().splitlines()]
            data = json.dumps(
                [{key: value for key, value in line.items() if key != "tokens_per_second"} for line in lines]
            ).encode()
        elif name.endswith("work/inputs.json"):
            data = b""
        elif "/receipts/" in name or name.endswith("manifest.json"):
            plain = json.dumps(without_times(json.loads(data)), sort_keys=True)
            data = plain.replace(str(output), "OUTPUT").encode()  # receipts name what they read by its path
        found[name] = data
    return found


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in ("seconds", "worker", "timing")}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def run_to_the_end(output, runner):
    started = time.monotonic()
    subprocess.run(command(output, runner), env=environment(), check=True, capture_output=True, timeout=280)
    return time.monotonic() - started


def kill_after(output, runner, seconds):
    """Start the run, kill its whole process group after `seconds`; whether it was still running."""
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


@pytest.mark.timeout(900)
def test_ten_kills_change_no_byte(tmp_path):
    whole = run_to_the_end(tmp_path / "whole", "inline")  # compiles kernels where they are not cached yet
    whole = min(whole, run_to_the_end(tmp_path / "again", "inline"))
    expected = contents(tmp_path / "whole")
    dice = random.Random(20261124)
    killed, log, attempt = 0, [], 0
    while killed < KILLS:
        attempt += 1
        output = tmp_path / f"killed-{attempt}"
        for _ in range(KILLS_A_RUN):
            seconds = dice.uniform(0.1, 1.0) * whole
            alive = kill_after(output, "inline", seconds)
            done = sorted(path.parent.name for path in output.glob("*/manifest.json"))
            end = "killed" if alive else "finished"
            log.append(f"run {attempt}: {end} after {seconds:.1f} s, complete stages: {' '.join(done) or 'none'}")
            if not alive:
                whole *= 0.8  # the machine has become faster, or the run had less left to do: kill earlier
                break
            killed += 1
        run_to_the_end(output, "inline")
        found = contents(output)
        differing = [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]
        assert not differing, "\n".join(log)
    print("\n".join(log))
    assert killed >= KILLS
