"""A lease: a small file that names the run that writes in a stage's folder.

It keeps two runs out of one folder. The run writes the file again each minute. Another run may take
over a stale lease. A lease of this machine is stale if its process is gone. A lease of another
machine is stale if it is older than ten minutes.

Locally the file is made in one step, so that only one of two runs gets it. Object stores have no
such step. There a run writes its lease, waits a moment and reads it again. If two runs still get
in, `pipeline.claim.finish` or the digests in the receipts show it.
"""

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, StorageError
from corpusmill.manifests.partials import is_running

LEASE = "work/lease.json"
RENEWED_SECONDS = 60.0
STALE_SECONDS = 600.0
_LETTING_GO_SECONDS = 5.0
_SETTLING_SECONDS = 1.0  # on an object store: wait so long before the lease is read again

_held: set[str] = set()  # tokens of this process


@dataclass(frozen=True)
class Holder:
    """The run that holds a lease.

    token: unique for one run of one stage. born: start of the process in clock ticks, because
    process numbers are used again; 0 if unknown. since, renewed: seconds since 1970.
    """

    token: str
    host: str
    process: int
    born: int
    since: float
    renewed: float

    @property
    def is_stale(self) -> bool:
        if self.host != platform.node():
            return time.time() - self.renewed > STALE_SECONDS
        if self.process == os.getpid():
            return self.token not in _held
        return self.born != _born(self.process) or not is_running(self.process)


def refuse_held(folder: str) -> None:
    """Raises CorpusmillError if another run writes in `folder`."""
    holder = holder_of(folder)
    if holder is not None and not holder.is_stale:
        raise _taken(folder, holder)


@contextmanager
def lease(folder: str) -> Iterator[None]:
    """Hold the folder's lease while the block runs.

    Raises CorpusmillError if another run holds it.
    """
    now = time.time()
    mine = Holder(
        uuid.uuid4().hex, platform.node(), os.getpid(), _born(os.getpid()), round(now), round(now)
    )
    _held.add(mine.token)
    ended = threading.Event()
    try:
        _take(folder, mine)
        thread = threading.Thread(target=_renew, args=(folder, mine, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(_LETTING_GO_SECONDS)  # a store that hangs must not hold a finished run
            with suppress(CorpusmillError, OSError):  # the lease then goes stale by itself
                if _is_mine(folder, mine):
                    storage.remove(storage.join(folder, LEASE))
    finally:
        _held.discard(mine.token)


def _take(folder: str, mine: Holder) -> None:
    refuse_held(folder)
    path = storage.join(folder, LEASE)
    if storage.is_remote(folder):
        _write(folder, mine)
        time.sleep(_SETTLING_SECONDS)
    else:
        _remove_stale(storage.local(path))
        _make(storage.local(path), mine)
    holder = holder_of(folder)
    if holder is None or holder.token != mine.token:
        raise _taken(folder, holder or mine)


def _remove_stale(path: str) -> None:
    """Remove a stale lease. Only one of several runs does so. A new lease is put back."""
    aside = f"{path}.{uuid.uuid4().hex}"
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    holder = _parsed(aside)
    if holder is not None and not holder.is_stale and not os.path.exists(path):
        os.rename(aside, path)
    else:
        os.unlink(aside)


def _make(path: str, mine: Holder) -> None:
    """Make the file with its content in one step. If it is there, it stays."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        whole = f"{path}.{mine.token}"
        with open(whole, "w", encoding="utf-8") as file:
            json.dump(asdict(mine), file)
    except OSError as error:
        raise StorageError(
            f"{os.path.dirname(path)} cannot be written ({error.strerror})",
            "mend its permissions, or choose another --output",
        ) from error
    try:
        os.link(whole, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        with suppress(FileExistsError), open(path, "x", encoding="utf-8") as file:
            json.dump(asdict(mine), file)
    finally:
        os.unlink(whole)


def _renew(folder: str, mine: Holder, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_SECONDS):
        with suppress(CorpusmillError, OSError):  # a passing fault of the store: try again
            if not _is_mine(folder, mine):
                return  # another run took over, e.g. because this machine slept
            _write(folder, Holder(**{**asdict(mine), "renewed": round(time.time())}))


def _write(folder: str, holder: Holder) -> None:
    storage.write_bytes(storage.join(folder, LEASE), json.dumps(asdict(holder)).encode())


def holder_of(folder: str) -> Holder | None:
    """The holder of the lease, or None. A file that is no lease counts as none."""
    path = storage.join(folder, LEASE)
    return _parsed(path) if storage.exists(path) else None


def _parsed(path: str) -> Holder | None:
    try:
        return Holder(**json.loads(storage.read_bytes(path)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _is_mine(folder: str, mine: Holder) -> bool:
    holder = holder_of(folder)
    return holder is not None and holder.token == mine.token


def _taken(folder: str, holder: Holder) -> CorpusmillError:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.since))
    return CorpusmillError(
        f"another run writes in {folder}: process {holder.process} on {holder.host}, since {since}",
        "wait until it has ended, stop it, or choose another --output "
        f"(a run that was killed on another machine counts as ended after {STALE_SECONDS / 60:.0f} "
        f"minutes, or when you remove {storage.join(folder, LEASE)})",
    )


def _born(process: int) -> int:
    """When the process started, in clock ticks since boot. Linux: proc(5), stat, field 22.

    0 if that is unknown.
    """
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
