"""How each kernel is launched: warps of a program and depth of its software pipeline.

Fixed numbers, found by measurement on an H200 (docs/lab-log.md): a tuner at run time may choose
anew after a restart, and the bits of a resumed run would differ.
"""

from dataclasses import asdict, dataclass


@dataclass
class Launch:
    """Launch options of one kernel."""

    num_warps: int
    num_stages: int

    def options(self) -> dict[str, int]:
        """As keyword arguments of a Triton launch."""
        return asdict(self)


CHUNK = 64  # tokens of a chunk of the scan inside the kernels

STATES = Launch(4, 3)
SCAN = Launch(4, 3)
SCAN_BACKWARD_VALUES = Launch(4, 1)
SCAN_BACKWARD_MAPS = Launch(4, 2)
