"""Operations that numba lacks: load eight bytes at once, compare 64 bytes at once, count bits, and
prefetch.
"""

from typing import Any

from corpusmill.stages.columns.compiled import intrinsic
from llvmlite import ir
from numba import types
from numba.core import cgutils


@intrinsic
def load_word(context: Any, data: Any, position: Any) -> Any:
    """The eight bytes from a position on as one little-endian integer. The array must have them."""
    signature = types.uint64(data, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(array.data, [arguments[1]])
        word = builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return signature, generate


@intrinsic
def bytes_within(context: Any, data: Any, position: Any, first: Any, count: Any) -> Any:
    """Which of the 64 bytes from a position on are at least `first` and below `first + count`. One
    bit per byte, the first byte's lowest.

    The compiler uses the vectors of the processor (two of 32 bytes with AVX2). The array must have
    the bytes.
    """
    signature = types.uint64(data, types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, vector = ir.IntType(8), ir.VectorType(ir.IntType(8), 64)

        def everywhere(value: Any) -> Any:
            one = builder.insert_element(
                ir.Constant(vector, ir.Undefined),
                builder.trunc(value, byte),
                ir.Constant(ir.IntType(32), 0),
            )
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(array.data, [arguments[1]])
        loaded = builder.load(builder.bitcast(address, vector.as_pointer()))
        loaded.align = 1
        above = builder.sub(loaded, everywhere(arguments[2]))
        bits = builder.bitcast(
            builder.icmp_unsigned("<", above, everywhere(arguments[3])), ir.IntType(64)
        )
        # This emits no instruction, but the compiler cannot look through it. Without it the
        # compiler would go on with 64 separate bits, one after the other.
        return builder.asm(ir.FunctionType(bits.type, [bits.type]), "", "=r,0", [bits], False)

    return signature, generate


@intrinsic
def trailing_zeros(context: Any, word: Any) -> Any:
    """How many low bits are 0. The word must not be 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def ones(context: Any, word: Any) -> Any:
    """How many bits are 1."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def prefetch(context: Any, data: Any, position: Any) -> Any:
    """Bring a place of an array into the first cache, without waiting for it."""
    signature = types.void(data, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), pointer)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [address, number(0), number(3), number(1)])  # to read; to stay; data
        return context.get_dummy_value()

    return signature, generate
