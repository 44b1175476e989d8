"""Evaluation beside lm-evaluation-harness: the same items, the same model, the same choices?

    python benchmarks/evaluate.py [--data FOLDER] [--model FOLDER] [--tasks A,B]
        [--number 100] [--texts 6]

Needs lm-eval (`pip install -e '.[lm-eval]'`) and `evals/` in the folder of data. Of each task the
first items are written to a file that both read, and our task file is translated for lm-eval: its
templates are Jinja, too. lm-eval runs the model by transformers. We run it by the runtime that
`evaluate` chooses, by transformers, and as a model of lm-eval (`stages/evaluate/lm_eval.py`).

Time is processor time, from rows to scores, without loading models. lm-eval's batch is 16 rows.

Printed for each task: items, the share with the same choice, the largest difference of a
log-likelihood (divided by the tokens that are scored), and items a second of both. Then a small
ablation (`evaluate_ablation.py`): `ablation.ARM` is bits per byte and its half-width. The last line
is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

from corpusmill.benchmarks.evaluate_ablation import measure_ablation  # noqa: E402
from corpusmill.benchmarks.peers import require, require_data  # noqa: E402
from corpusmill.evaluation import task as task_files  # noqa: E402
from corpusmill.evaluation.questions import build  # noqa: E402
from corpusmill.evaluation.run import likelihood_rows  # noqa: E402
from corpusmill.evaluation.templates import value_of  # noqa: E402
from corpusmill.manifests.package_data import package_file  # noqa: E402
from corpusmill.manifests.shard import Shard  # noqa: E402
from corpusmill.manifests.storage import artifact_of  # noqa: E402
from corpusmill.stages.evaluate.rows import read_rows  # noqa: E402
from corpusmill.stages.evaluate.stage import Evaluate  # noqa: E402

TASKS = "arc_easy,piqa,openbook_qa,winogrande,copa,boolq,mmlu,lambada,wikitext"
PEER_BATCH = 16
NO_SHOTS = task_files.Shots()


@dataclass(frozen=True)
class Found:
    """Log-likelihoods of each item, in order, and the processor seconds that they took."""

    values: list[list[float]]
    seconds: float
    tokens: list[list[int]] | None = None

    @property
    def choices(self) -> list[int]:
        return [max(range(len(item)), key=lambda n: (item[n], -n)) for item in self.values]


def written(name: str, items: str, number: int, texts: int, folder: Path) -> task_files.Task:
    """The task over its first items, in a file of their own without need of `fields`."""
    (task,) = task_files.load((name,))
    file = task_files.items_path(task, items)
    rows: list[dict[str, Any]] = []
    for row in read_rows(Shard("rows", (), str(folder)), artifact_of(file.path)):
        assert isinstance(row, dict)
        full = {**row, **{key: value_of(text, row) for key, text in file.fields.items()}}
        if value_of(task.where, full):
            rows.append(full)
        if len(rows) == (texts if task.kind == "text" else number):
            break
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return task.model_copy(
        update={"files": (task_files.ItemFile(path=str(path)),), "shots": NO_SHOTS}
    )


def translated(task: task_files.Task) -> dict[str, Any]:
    """The task as lm-eval's configuration."""
    common = {
        "task": task.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": task.files[0].path}},
        "test_split": "test",
        "num_fewshot": 0,
    }
    if isinstance(task, task_files.TextTask):
        kind = {"output_type": "loglikelihood_rolling", "doc_to_text": ""}
        return {**common, **kind, "doc_to_target": task.text, "metric_list": [{"metric": BITS}]}
    if isinstance(task, task_files.LastWordTask):
        return {
            **common,
            "output_type": "loglikelihood",
            "doc_to_text": task.preamble + task.context,
            "doc_to_target": task.continuation,
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}],
        }
    assert isinstance(task, task_files.ChoiceTask)
    common |= {"output_type": "multiple_choice", "target_delimiter": task.delimiter}
    common |= {"metric_list": [{"metric": "acc"}]}
    gold = f"{{{{ {task.gold} }}}}"
    if task.contexts:
        contexts = f"{{{{ {task.contexts} }}}}"
        return {**common, "doc_to_text": gold, "doc_to_choice": contexts} | {
            "doc_to_target": task.continuation
        }
    return {
        **common,
        "doc_to_text": task.preamble + task.context,
        "doc_to_choice": f"{{{{ {task.choices} }}}}",
        "doc_to_target": gold,
    }


BITS = "bits_per_byte"


def ours(
    tasks: Sequence[task_files.Task], folder: Path, runtime: Literal["auto", "transformers"]
) -> dict[str, Found]:
    """Our log-likelihoods."""
    from corpusmill.evaluation.models import Place, load

    settings = Evaluate(device="cpu", runtime=runtime)
    tokenizer = settings.checked_tokenizer(str(folder))
    model = load(folder, settings.runtime, Place("cpu", "float32"))
    reading = settings.reading(tokenizer, model)
    found = {}
    for task in tasks:
        begun = time.process_time()
        rows = read_rows(Shard("rows", (), ""), artifact_of(task.files[0].path))
        records = likelihood_rows(task, build(task, rows, {}), model, reading)
        odd = [record["reason"] for record in records if record.get("reason")]
        assert not odd, (task.name, odd)
        seconds = time.process_time() - begun
        values = [record["loglikelihoods"] for record in records]
        found[task.name] = Found(values, seconds, [record["tokens"] for record in records])
    return found


def theirs(
    tasks: Sequence[task_files.Task], make: Callable[[], Any], folder: Path
) -> dict[str, Found]:
    """lm-eval's log-likelihoods, with the model that `make` gives."""
    import yaml
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager, get_task_dict

    for task in tasks:
        (folder / f"{task.name}.yaml").write_text(yaml.safe_dump(translated(task)))
    model = make()
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = {}
    for task in tasks:
        loaded = get_task_dict([task.name], manager)
        begun = time.process_time()
        results = evaluate(model, loaded, bootstrap_iters=0, log_samples=True)
        seconds = time.process_time() - begun
        samples = sorted(results["samples"][task.name], key=lambda item: item["doc_id"])
        found[task.name] = Found([_values(item["resps"]) for item in samples], seconds)
    return found


def _values(responses: Any) -> list[float]:
    """The log-likelihoods in lm-eval's nested answers."""
    if isinstance(responses, list) and responses and not isinstance(responses[0], list | tuple):
        return [float(responses[0])]
    if isinstance(responses, tuple):
        return [float(responses[0])]
    return [value for response in responses for value in _values(response)]


def table(
    title: str,
    found: dict[str, Found],
    peer: dict[str, Found],
    tokens: dict[str, list[list[int]]],
) -> dict[str, float]:
    """Print how `found` compares with `peer`. Returns agreement, difference and speed ratio.

    tokens: task -> the tokens of each log-likelihood.
    """
    print(f"\n{title}")
    print(f"{'task':12} {'items':>6} {'agree':>6} {'difference':>11} {'items/s':>8} {'lm-eval':>8}")
    agreed = items = 0
    largest = 0.0
    for name, mine in found.items():
        other = peer[name]
        assert len(mine.values) == len(other.values), name
        same = sum(a == b for a, b in zip(mine.choices, other.choices, strict=True))
        apart = max(
            abs(a - b) / size
            for one, two, sizes in zip(mine.values, other.values, tokens[name], strict=True)
            for a, b, size in zip(one, two, sizes, strict=True)
        )
        number = len(mine.values)
        print(
            f"{name:12} {number:6} {same / number:6.3f} {apart:11.2e}"
            f" {number / mine.seconds:8.1f} {number / other.seconds:8.1f}"
        )
        agreed, items, largest = agreed + same, items + number, max(largest, apart)
    ratio = sum(item.seconds for item in peer.values()) / sum(
        item.seconds for item in found.values()
    )
    print(f"all: {agreed / items:.4f} agree, {largest:.2e} apart, {ratio:.2f} times as fast")
    return {"agreement": agreed / items, "difference": largest, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--model", default=str(package_file("models", "tiny")))
    parser.add_argument("--number", type=int, default=100, help="items of each task")
    parser.add_argument("--texts", type=int, default=6, help="texts of each text task")
    parser.add_argument("--tasks", default=TASKS)
    options = parser.parse_args()
    require("lm_eval", "datasets")
    items = options.data / "evals"
    require_data(items, "*.jsonl*", "get the items of the tasks as JSON lines")
    model = Path(options.model)

    def through_transformers() -> Any:
        from lm_eval.models.huggingface import HFLM

        return HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=PEER_BATCH)

    def through_the_door() -> Any:
        from corpusmill.stages.evaluate.lm_eval import Corpusmill

        return Corpusmill(str(model), device="cpu")

    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        names = options.tasks.split(",")
        tasks = [written(name, str(items), options.number, options.texts, folder) for name in names]
        peer = theirs(tasks, through_transformers, folder)
        found = ours(tasks, model, "auto")
        tokens = {name: item.tokens or [] for name, item in found.items()}
        own = table("our runtime", found, peer, tokens)
        found = ours(tasks, model, "transformers")
        plain = table("transformers on both sides", found, peer, tokens)
        found = theirs(tasks, through_the_door, folder)
        door = table("our model inside lm-eval", found, peer, tokens)
        (folder / "ablation").mkdir()
        ablation = measure_ablation(folder / "ablation")
    figures = {
        "lm_eval_agreement": own["agreement"],
        "lm_eval_loglik_diff": own["difference"],
        "speed_ratio": round(own["ratio"], 2),
        "lm_eval_agreement.transformers": plain["agreement"],
        "lm_eval_loglik_diff.transformers": plain["difference"],
        "speed_ratio.transformers": round(plain["ratio"], 2),
        "lm_eval_agreement.door": door["agreement"],
        **ablation,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
