"""A lease: a small file that names the run that writes in a stage's folder.

It keeps two runs out of one folder. The run writes the file again every half minute. Another run
may take over a stale lease. A lease of this machine is stale if its process is gone. A lease of
another machine is stale if it is older than five minutes.

The file is made in one step, so that only one of two runs gets it. After a stale one was removed,
or on a store that cannot make a file in one step, two runs may both have written. So on a store, a
run waits a moment and reads its lease again. If a run still loses its lease, because its machine
slept, it ends with an error before it writes the manifest.
"""

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError, StorageError
from corpusmill.manifests.partials import is_running
from corpusmill.pipeline import display

LEASE = "work/lease.json"
RENEWED_SECONDS = 30.0
STALE_SECONDS = 300.0
_LOOKED_SECONDS = 2.0  # between two looks at the lease of another machine
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
    """Raises CorpusmillError if another run writes in `folder`.

    Whether a process of another machine runs shows in its lease only. So this waits until the lease
    is renewed (the run lives) or gone or stale. A scheduler that starts a killed job again on
    another machine needs no more than this.
    """
    first = holder = holder_of(folder)
    while holder is not None and not holder.is_stale:
        if holder.host == platform.node() or holder != first:
            raise _taken(folder, holder)
        if holder is first:
            shown = f"process {holder.process} on {holder.host}"
            display.current().say(f"{folder}: waiting to see whether {shown} still writes in it")
        time.sleep(_LOOKED_SECONDS)
        holder = holder_of(folder)


@contextmanager
def lease(folder: str) -> Iterator[Callable[[], None]]:
    """Hold the folder's lease while the block runs. Raises CorpusmillError if another run holds it.

    Yields a function that raises CorpusmillError if the lease has been lost.
    """
    now = time.time()
    mine = Holder(
        uuid.uuid4().hex, platform.node(), os.getpid(), _born(os.getpid()), round(now), round(now)
    )

    def check() -> None:
        if not _is_mine(folder, mine):
            raise CorpusmillError(
                f"this run has lost its lease of {folder}: another run took over",
                "run the same command again when the other run has ended",
            )

    _held.add(mine.token)
    ended = threading.Event()
    try:
        _take(folder, mine)
        thread = threading.Thread(target=_renew, args=(folder, mine, ended), daemon=True)
        thread.start()
        try:
            yield check
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
    try:
        if not storage.is_remote(folder):
            _remove_stale(storage.local(path))
        elif storage.exists(path) and _is_over(_parsed(path)):
            storage.remove(path)
        storage.write_new(path, _as_json(mine))
    except CorpusmillError:
        raise
    except OSError as error:
        raise StorageError(
            f"{os.path.dirname(path)} cannot be written ({error.strerror})",
            "mend its permissions, or choose another --output",
        ) from error
    if storage.is_remote(folder):
        time.sleep(_SETTLING_SECONDS)
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
    if _is_over(_parsed(aside)) or os.path.exists(path):
        os.unlink(aside)
    else:
        os.rename(aside, path)


def _is_over(holder: Holder | None) -> bool:
    """Whether a lease keeps nobody out. None: the file is no lease."""
    return holder is None or holder.is_stale


def _renew(folder: str, mine: Holder, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_SECONDS):
        with suppress(CorpusmillError, OSError):  # a passing fault of the store: try again
            if not _is_mine(folder, mine):
                return  # another run took over, e.g. because this machine slept
            renewed = replace(mine, renewed=round(time.time()))
            storage.write_bytes(storage.join(folder, LEASE), _as_json(renewed))


def _as_json(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


def holder_of(folder: str) -> Holder | None:
    """The run that holds the folder's lease, or None. It may be stale.

    A file that is no lease counts as none.
    """
    path = storage.join(folder, LEASE)
    return _parsed(path) if storage.exists(path) else None


def _parsed(path: str) -> Holder | None:
    try:
        return Holder(**json.loads(storage.read_bytes(path)))
    except (InputError, ValueError, TypeError):  # InputError: it is gone
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
