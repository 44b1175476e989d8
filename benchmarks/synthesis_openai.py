"""`synthesize` with an `openai` engine against vLLM's own bench client, on one local server."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.schema import DOCUMENT, conform
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.contract import Inputs
from corpusmill.stages.engines.model_folder import local_folder
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.engines.vllm import VLLMEngine
from corpusmill.stages.synthesize.stage import Synthesize

from benchmarks.synthesis_vllm import Rows, planned

IN_FLIGHT = 256
_CLIENT = (
    "import argparse, vllm.benchmarks.serve as s;"
    "p = argparse.ArgumentParser(); s.add_cli_args(p); s.main(p.parse_args())"
)


def measure(settings: Synthesize, rows: Rows, repeats: int, work: Path) -> dict[str, Any]:
    """Both clients in turn. The requests are the same, and so is the longest answer of each."""
    engine = settings.engine
    assert isinstance(engine, VLLMEngine)
    folder = local_folder(engine.model)
    process, url = _served(engine, folder, work / "server.log")
    try:
        asked = settings.model_copy(
            update={
                "engine": OpenAIEngine(
                    url=f"{url}/v1",
                    model="served",
                    tokenizer_name=folder,
                    context=engine.context,
                    in_flight=IN_FLIGHT,
                )
            }
        )
        _bench_client(settings, rows[:2], url, folder, work / "warm-up")
        theirs, ours = [], []
        for number in range(repeats):
            theirs.append(_bench_client(settings, rows, url, folder, work / f"bench-{number}"))
            print(f"| bench client | {theirs[-1]:,.0f} tokens out/s |", flush=True)
            ours.append(_stage(asked, rows, work / f"stage-{number}"))
            print(f"| openai | {ours[-1]:,.0f} tokens out/s |", flush=True)
    finally:
        process.kill()
    return {"openai_ratio": round(median(ours) / median(theirs), 3)}


def _served(engine: VLLMEngine, folder: str, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server of the engine's model with the engine's own settings, ready to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder]
    command += ["--served-model-name", "served", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--generation-config", "vllm", "--disable-log-stats"]
    for name, value in json.loads(engine.arguments_of_vllm()).items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool) and name != "disable_log_stats":
            command.append(option if value else option.replace("--", "--no-", 1))
        elif name not in ("model", "disable_log_stats"):
            command += [option, json.dumps(value) if isinstance(value, dict) else str(value)]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": str(engine.kv_cache_gib)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return process, url
        except httpx.TransportError:
            pass
        time.sleep(1)
    process.kill()
    raise RuntimeError(f"the server did not come up: {log.read_text()[-2000:]}")


def _bench_client(settings: Synthesize, rows: Rows, url: str, folder: str, work: Path) -> float:
    """Output tokens a second, as `vllm bench serve` measures them."""
    work.mkdir()
    planner = settings.planner()
    requests = planned(settings, rows)
    with (work / "prompts.jsonl").open("w") as file:
        for request in requests:
            text = planner.tokenizer.render(request.messages)
            file.write(json.dumps({"prompt": text, "output_tokens": request.max_tokens}) + "\n")
    options = {
        "--backend": "openai",
        "--base-url": url,
        "--endpoint": "/v1/completions",
        "--model": folder,
        "--served-model-name": "served",
        "--dataset-name": "custom",
        "--dataset-path": str(work / "prompts.jsonl"),
        "--custom-output-len": "-1",
        "--num-prompts": str(len(requests)),
        "--max-concurrency": str(IN_FLIGHT),
        "--temperature": "0.5",
        "--top-p": "0.9",
        "--result-dir": str(work),
        "--result-filename": "result.json",
    }
    command = [sys.executable, "-c", _CLIENT, "--skip-chat-template", "--disable-shuffle"]
    command += ["--save-result", *(part for pair in options.items() for part in pair)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the bench client failed: {done.stderr[-2000:]}")
    result = json.loads((work / "result.json").read_text())
    assert result["completed"] == len(requests)
    return float(result["output_throughput"])


def _stage(settings: Synthesize, rows: Rows, work: Path) -> float:
    """Output tokens a second of the whole stage."""
    work.mkdir()
    table = pa.Table.from_pylist([{**row, "kind": "actual"} for row in rows])
    pq.write_table(conform(table, DOCUMENT), work / "in.parquet")
    documents = (storage.artifact_of(str(work / "in.parquet")),)
    inputs = Inputs(str(work / "out"), documents=documents)
    started = time.perf_counter()
    execute(Job(settings, (settings.name,), {settings.name: {}}, inputs), InlineRunner())
    seconds = time.perf_counter() - started
    tokens = sum(
        sum(filter(None, pq.ParquetFile(path).read(["output_tokens"])[0].to_pylist()))
        for path in (work / "out").glob("[de]*/**/*.parquet")
    )
    return float(tokens / seconds)
