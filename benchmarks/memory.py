"""How much memory processes needed, by /proc. What getrusage tells of a child includes its parent at the time of the fork."""

import os
import re
from pathlib import Path


def peak_mb(pid: int | None = None) -> float:
    """The most resident memory that this process, or another, has had, in MiB."""
    (size,) = re.findall(r"^VmHWM:\s+(\d+) kB$", _status(pid or os.getpid()), re.MULTILINE)
    return int(size) / 1024


def peak_mb_with_children() -> float:
    """The sum of the peaks of this process and of its children that still run."""
    own = os.getpid()
    others = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return peak_mb() + sum(peak_mb(pid) for pid in others if f"\nPPid:\t{own}\n" in _status(pid))


def _status(pid: int) -> str:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
