"""The memory of processes, from /proc.

For a child, getrusage also counts its parent's memory at the time of the fork.
"""

import os
import re
from pathlib import Path


def peak_mb(pid: int | None = None) -> float:
    """The most resident memory that this process, or another, has had so far, in MiB."""
    (size,) = re.findall(r"^VmHWM:\s+(\d+) kB$", _status(pid or os.getpid()), re.MULTILINE)
    return int(size) / 1024


def peak_mb_with_children() -> float:
    """The sum of the peaks of this process and of its running children."""
    own = os.getpid()
    others = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return peak_mb() + sum(peak_mb(pid) for pid in others if f"\nPPid:\t{own}\n" in _status(pid))


def _status(pid: int) -> str:
    """The status file of a process. Empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
