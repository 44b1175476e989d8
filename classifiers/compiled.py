"""A function by torch.compile where a compiler works, else the function as it is."""

import logging
import subprocess
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch._dynamo.exc import TorchDynamoException


class Compiled:
    """A function by torch.compile, or as it is in a process where the compiler fails.

    It fails in images without a C compiler or without Python's headers.
    """

    fails: ClassVar[bool] = False

    def __init__(self, function: Callable[..., Any]) -> None:
        self._plain, self._compiled = function, torch.compile(function)

    def __call__(self, *arguments: Any) -> Any:
        if not Compiled.fails:
            try:
                return self._compiled(*arguments)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                if not _is_of_compiler(error):
                    raise
                Compiled.fails = True
                logging.getLogger(__name__).warning(
                    "torch.compile failed, the encoder runs without it, more slowly; a C compiler "
                    "and Python's headers mend that (%s)",
                    str(error).splitlines()[0],
                )
        return self._plain(*arguments)


def _is_of_compiler(error: Exception) -> bool:
    """Triton compiles its launcher at the first call, so not all faults are torch.compile's."""
    kinds = (TorchDynamoException, subprocess.CalledProcessError)
    return isinstance(error, kinds) or "C compiler" in str(error)
