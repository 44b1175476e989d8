"""One shard's work as a task: skip it if its receipt is valid, else do it and write the receipt.

The runner chooses the process in which a task runs.
"""

import errno
import functools
import math
import os
import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError, ReadFailed, StorageError
from corpusmill.manifests.manifest import MANIFEST
from corpusmill.manifests.receipt import (
    Counts,
    Receipt,
    is_done,
    read_receipt,
    this_worker,
    write_receipt,
)
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import counting_reads
from corpusmill.pipeline.accounts import check_shard

# libgomp's threads spin while they wait for each other. If processes share cores, spinning threads
# slow down the threads that they wait for. With four busy processes on two cores, a small model ran
# at a third of its speed. The limit is set here, because libgomp reads it when it is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")


@dataclass(frozen=True)
class Task:
    stage: str
    pass_name: str
    shard: str
    inputs: tuple[Artifact, ...]
    folder: str
    plan_hash: str
    work: Callable[[Shard], list[Counts]]
    cpus: float = 1
    gpus: float = 0
    shard_settings: str = ""
    together: int = 1
    until: float = math.inf  # seconds since 1970: the work does not begin after this


@dataclass(frozen=True)
class Failure:
    """Why a task ended without a receipt.

    fatal: other shards would fail too; the stage stops. late: the task's time was up before its
    work began.
    """

    message: str
    detail: str = ""
    fatal: bool = False
    error: CorpusmillError | None = None
    late: bool = False


def run_task(task: Task) -> Receipt | Failure:
    """The task's receipt, or why there is none. A valid old receipt is returned as it is."""
    try:
        old = read_receipt(task.folder, task.pass_name, task.shard)
        if old is not None and is_done(old, task.plan_hash):
            return replace(old, reused=True)
        if time.time() > task.until:
            return Failure("the time is up", late=True)
        _check_inputs(task)
        return _do(task, old)
    except InputError as error:
        return Failure(str(error), error=error)
    except ReadFailed as error:
        return Failure(str(error), traceback.format_exc())
    except CorpusmillError as error:
        return Failure(str(error), fatal=True, error=error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            full = StorageError(
                f"no space left while writing below {task.folder}",
                "free space, then run the same command again",
            )
            return Failure(str(full), fatal=True, error=full)
        return Failure(_one_line(error), traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - a failed shard is tried again, then quarantined
        return Failure(_one_line(error), traceback.format_exc())


def quarantine(task: Task, failure: Failure) -> Receipt:
    """Write a receipt that says that the shard failed in this run. The next run tries it again.

    If there is a valid receipt by now, it stays and is returned.
    """
    there = read_receipt(task.folder, task.pass_name, task.shard)
    if is_done(there, task.plan_hash):
        assert there is not None
        return there
    receipt = Receipt(
        task.stage,
        task.pass_name,
        task.shard,
        task.plan_hash,
        status="quarantined",
        inputs=list(task.inputs),
    )
    receipt.error = failure.message + (f"\n{failure.detail}" if failure.detail else "")
    _remove_outputs(there, keep=receipt)
    write_receipt(receipt, task.folder)
    return receipt


def _check_inputs(task: Task) -> None:
    """Raises InputError if a local input differs from its artifact.

    The size is compared each time. The bytes are read once a process. Files in the stage's own
    folder are not read: the stage has just written them, and a shard of dedup may read hundreds.
    """
    for artifact in task.inputs:
        if storage.is_remote(artifact.path) or not storage.exists(artifact.path):
            continue
        stat = os.stat(storage.local(artifact.path))
        if stat.st_size != artifact.size:
            raise InputError(
                f"{artifact.path} has {stat.st_size} bytes, not {artifact.size}",
                "run the stage that writes it again, then this one",
            )
        if (
            not artifact.path.startswith(f"{task.folder}/")
            and _digest(artifact.path, stat.st_mtime_ns) != artifact.digest
        ):
            raise InputError(
                f"{artifact.path} has changed since it was written",
                "run the stage that writes it again, then this one; if no stage does, `touch` it",
            )


@functools.lru_cache(maxsize=100_000)
def _digest(path: str, _changed: int) -> str:
    return storage.digest_of(path)


def _do(task: Task, old: Receipt | None) -> Receipt:
    # The manifest lists this shard's old outputs, which are now replaced.
    storage.remove(storage.join(task.folder, MANIFEST))
    shard = Shard(task.shard, task.inputs, task.folder, task.plan_hash, task.shard_settings)
    began, started = time.time(), time.perf_counter()
    try:
        with counting_reads(shard.report_read):
            counts = task.work(shard)
    finally:
        storage.remove(shard.progress_path)
    where = task.stage if task.stage == task.pass_name else f"{task.stage} (pass {task.pass_name})"
    check_shard(f"{where}, shard {task.shard}", shard, counts)
    receipt = Receipt(
        stage=task.stage,
        pass_name=task.pass_name,
        shard=task.shard,
        plan_hash=task.plan_hash,
        inputs=list(task.inputs),
        outputs=shard.outputs,
        counts=counts,
        received=[
            (number, shard.received[artifact.path].rows, shard.received[artifact.path].digest)
            for number, artifact in enumerate(task.inputs)
            if artifact.path in shard.received
        ],
        seconds=round(time.perf_counter() - started, 3),
        started=round(began, 3),
        gpus=task.gpus if _has_gpu() else 0.0,
        worker=this_worker(),
        earlier=shard.earlier,
    )
    _remove_outputs(old, keep=receipt)
    write_receipt(receipt, task.folder)
    _remove_scratch(shard)
    return receipt


def _has_gpu() -> bool:
    """Whether this machine has a GPU with its driver, NVIDIA's or AMD's."""
    return any(map(os.path.exists, ("/proc/driver/nvidia/version", "/dev/kfd")))


def _remove_outputs(old: Receipt | None, keep: Receipt) -> None:
    """Remove the outputs of the receipt `old` that are not in the new receipt `keep`."""
    kept = {output.path for output in keep.outputs}
    for output in old.outputs if old else ():
        if output.path not in kept:
            storage.remove(output.path)


def _remove_scratch(shard: Shard) -> None:
    """Remove the shard's unfinished work, of this plan and of others."""
    above = os.path.dirname(shard.scratch)
    if storage.is_remote(shard.folder) or not os.path.isdir(above):
        shutil.rmtree(shard.scratch, ignore_errors=True)
        return
    for name in os.listdir(above):
        if name.rpartition("-")[0] == shard.name:
            shutil.rmtree(os.path.join(above, name))
    with suppress(OSError):  # other shards work there, or another one has just removed it
        os.rmdir(above)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
