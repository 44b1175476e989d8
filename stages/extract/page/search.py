"""Finding a byte, many bytes at once: the C library's `memchr`."""

from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import intrinsic, merged
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numpy.typing import NDArray


@intrinsic
def _memchr(context: Any, data: Any, place: Any, length: Any, byte: Any) -> Any:
    """How many bytes behind data[place] the first such byte stands; -1 if it is not among `length`
    bytes, which the array must have.
    """
    signature = types.int64(data, types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number, word = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        begin = builder.bitcast(builder.gep(array.data, [arguments[1]]), pointer)
        kind = ir.FunctionType(pointer, [pointer, number, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "memchr")
        found = builder.call(function, [begin, builder.trunc(arguments[3], number), arguments[2]])
        behind = builder.sub(builder.ptrtoint(found, word), builder.ptrtoint(begin, word))
        nowhere = builder.icmp_unsigned("==", builder.ptrtoint(found, word), word(0))
        return builder.select(nowhere, word(-1), behind)

    return signature, generate


@merged
def find(data: NDArray[np.uint8], byte: int, place: int, end: int) -> int:
    """The place of the first such byte in data[place:end]; `end`, or a `place` behind it, if there
    is none.
    """
    if place >= end:
        return place
    behind = _memchr(data, place, end - place, byte)
    return end if behind < 0 else place + behind
