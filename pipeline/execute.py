"""Run one stage: its passes in order, each over its shards, then the manifest.

This module and `pipeline.task` handle resume, quarantine and row accounts for all stages:
- A shard with a valid receipt is not done again.
- A shard that fails twice is quarantined. The run goes on.
- A fatal error stops the stage. Finished shards stay.
- When the stage is complete, the files of earlier plans are removed.
"""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError, TimeUp
from corpusmill.manifests.manifest import Manifest, Parent, Work, begun_now, summed_up
from corpusmill.manifests.partials import remove_partials
from corpusmill.manifests.receipt import Counts, Receipt, list_receipts, plan_hash, receipt_path
from corpusmill.pipeline import display
from corpusmill.pipeline.accounts import Flows, LostRows, check_stage
from corpusmill.pipeline.claim import abandon, claim, finish
from corpusmill.pipeline.lease import lease
from corpusmill.pipeline.progress import PASS, watch
from corpusmill.pipeline.runner import Runner
from corpusmill.pipeline.task import Failure, Task, quarantine
from corpusmill.stages.contract import GlobalStage, Inputs, Pass, PassResult
from corpusmill.stages.own import own_code

FORMAT = "2"  # of the files on disk; if it changes, all work is done again


@dataclass(frozen=True)
class Job:
    """A stage to run.

    names: its steps. There are several if map stages run as one task.
    config: step -> its settings, as the recipe gives them. Settings and input digests decide the
    plan hash. The path of the output folder does not.
    verbs: the verb of each step.
    replace: whether finished work of other settings may be removed.
    left_out: path -> why a file of an input folder is not read.
    """

    stage: GlobalStage
    names: tuple[str, ...]
    config: Mapping[str, Any]
    inputs: Inputs
    parents: tuple[Parent, ...] = ()
    verbs: tuple[str, ...] = ()
    replace: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)

    def started(self) -> Manifest:
        """The manifest before any work: no plan hash, no outputs, no counts."""
        date, command = begun_now()
        return Manifest(
            stages=list(self.names),
            software={
                "corpusmill": version(),
                "pyarrow": pa.__version__,
                "format": FORMAT,
                **{f"stage {stage.name}": str(stage.version) for stage in self.stage.fused},
            },
            config=dict(self.config),
            plan_hash="",
            parents=list(self.parents),
            verbs=list(self.verbs or self.names),
            free=[f"{self.names[-1]}.{key}" for key in self.stage.free_settings],
            account=self.stage.account,
            unit=self.stage.unit,
            left_out=summed_up(self.left_out),
            folder=self.inputs.folder,
            date=date,
            command=command,
        )


def execute(job: Job, runner: Runner) -> Manifest:
    """Run the job and return its manifest. Raises the CorpusmillError that stopped it."""
    folder = job.inputs.folder
    started = job.started()
    stage_plan = {
        "software": started.software,
        "stages": started.stages,
        "config": started.settings,
        "depends_on": job.stage.depends_on(),
    }
    if own := own_code(job.stage.fused):
        stage_plan["own_code"] = own
    started.plan_hash = plan_hash(stage_plan)
    with lease(folder) as check_lease:
        claim(started, job.replace)
        try:
            manifest = _run_passes(job, started, stage_plan, runner)
        except CorpusmillError:
            abandon(folder)
            raise
        check_lease()
        finish(manifest)
    display.current().stage(manifest)
    return manifest


def _run_passes(
    job: Job, started: Manifest, stage_plan: dict[str, Any], runner: Runner
) -> Manifest:
    """Run every pass over its shards. Returns the stage's manifest.

    Files of other plans are removed from the folder.
    """
    current: dict[tuple[str, str], Receipt] = {}
    quarantined: list[Receipt] = []
    totals = {name: Counts(name) for name in job.stage.accounts}
    flows = Flows(job.names[-1])
    outputs: list[storage.Artifact] = []
    seconds: dict[str, float] = {}
    measures: dict[str, Any] = {}
    shards = 0
    work = Work()
    passes = job.stage.passes(job.inputs)
    step = next(passes, None)
    while step is not None:
        receipts, failed = _run_pass(step, stage_plan, job, runner)
        current.update({(step.name, name): receipt for name, receipt in receipts.items()})
        quarantined += failed
        flows.add(step.name, receipts, failed)
        for name in sorted(receipts):
            for counts in receipts[name].counts:
                if counts.stage in totals:
                    totals[counts.stage].add(counts)
        seconds[step.name] = round(sum(receipt.seconds for receipt in receipts.values()), 3)
        made = [receipt.seconds for receipt in receipts.values() if not receipt.reused]
        work.made += len(made)
        work.reused += len(receipts) - len(made)
        work.seconds += sum(made)
        if step.final:
            shards = len(step.shards)
            outputs = [output for name in sorted(receipts) for output in receipts[name].outputs]
        try:
            step = passes.send(PassResult(receipts))
        except StopIteration as ended:
            step, measures = None, dict(ended.value or {})
    try:
        flows.check()
    except LostRows as lost:
        for key in lost.made_by:  # the same command makes these shards again
            storage.remove(receipt_path(job.inputs.folder, *key))
        raise
    check_stage(job.names[-1], job.stage, job.inputs, totals, current.values(), bool(quarantined))
    _remove_leftovers(job.inputs.folder, current, quarantined)
    return replace(
        started,
        outputs=outputs,
        totals=list(totals.values()),
        shards=shards,
        quarantined=[
            {
                "pass": receipt.pass_name,
                "shard": receipt.shard,
                "error": receipt.error.splitlines()[0],
            }
            for receipt in quarantined
        ],
        measures=measures,
        timing={f"{name}_seconds": value for name, value in seconds.items()},
        work=work,
    )


def version() -> str:
    """The installed version of corpusmill."""
    try:
        return importlib.metadata.version("corpusmill")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


def _run_pass(
    step: Pass, stage_plan: dict[str, Any], job: Job, runner: Runner
) -> tuple[dict[str, Receipt], list[Receipt]]:
    folder = job.inputs.folder
    tasks = [_task(step, name, stage_plan, job) for name in sorted(step.shards)]
    done: dict[str, Receipt] = {}
    failures: dict[str, tuple[Task, Failure]] = {}
    shown = display.current()
    title = job.names[-1] if step.name == job.names[-1] else f"{job.names[-1]}: {step.name}"
    with watch(title, tasks, folder) as meter:
        waiting = tasks
        for attempt in (1, 2):
            failures = {}
            for task, result in runner.run(waiting, holds_engine=step.holds_engine):
                if isinstance(result, Receipt):
                    # A reused receipt has the paths that its inputs had when it was written.
                    result = replace(result, inputs=list(task.inputs))
                    done[task.shard] = result
                    meter.finished(result)
                elif result.fatal:
                    raise result.error or CorpusmillError(result.message)
                else:
                    failures[task.shard] = (task, result)
                    if not result.late and attempt == 1:
                        shown.failure(job.names[-1], task.shard, result.message, False)
            # Each runs alone: a shard that kills its worker then takes no other shard with it.
            waiting = [replace(failures[name][0], together=1) for name in sorted(failures)]
            late = any(failure.late for _, failure in failures.values())
            if late or not waiting:
                break
    if late:
        raise TimeUp(f"the time is up, {title} is not finished", "run the same command again")
    failed = []
    for name in sorted(failures):
        receipt = quarantine(*failures[name])
        if receipt.status == "done":  # the worker was lost after it wrote the receipt
            done[name] = receipt
        else:
            failed.append(receipt)
            shown.failure(job.names[-1], name, failures[name][1].message, True)
    if failed and not done:
        first = failed[0]
        raise InputError(
            f"every shard of {job.names[-1]} failed; {first.shard}: {first.error.splitlines()[0]}",
            f"read the full errors in {storage.join(folder, 'receipts', step.name)}",
        )
    return done, failed


def _task(step: Pass, shard: str, stage_plan: dict[str, Any], job: Job) -> Task:
    inputs = tuple(step.shards[shard])
    plan = {
        **stage_plan,
        "pass": step.name,
        "pass_depends_on": step.depends_on,
        "shard": shard,
        "inputs": [[artifact.name, artifact.digest] for artifact in inputs],
    }
    shard_settings = step.shard_settings.get(shard, "")
    if shard_settings:
        plan["shard_settings"] = shard_settings
    return Task(
        stage=job.names[-1],
        pass_name=step.name,
        shard=shard,
        inputs=inputs,
        folder=job.inputs.folder,
        plan_hash=plan_hash(plan),
        work=step.work,
        cpus=step.cpus,
        gpus=step.gpus,
        shard_settings=shard_settings,
        together=step.together,
    )


def _remove_leftovers(
    folder: str, current: dict[tuple[str, str], Receipt], quarantined: list[Receipt]
) -> None:
    """Remove what the plan does not need.

    These are receipts of shards that are no longer in the plan, the files that only these shards
    wrote, partial files of killed writers, and the description of the last pass. Receipts of the
    plan are not read again.
    """
    known = {*current, *((receipt.pass_name, receipt.shard) for receipt in quarantined)}
    paths = {receipt_path(folder, *key) for key in known}
    kept_paths = {output.path for receipt in current.values() for output in receipt.outputs}
    for receipt in list_receipts(folder, drop_unreadable=True, skip=paths):
        key = (receipt.pass_name, receipt.shard)
        if key in known:
            continue
        for output in receipt.outputs:
            if output.path not in kept_paths:
                storage.remove(output.path)
        storage.remove(receipt_path(folder, *key))
    storage.remove(storage.join(folder, PASS))
    if not storage.is_remote(folder):
        remove_partials(storage.local(folder))
