"""A cache set as one vector: all its ways are compared at once, and moved at once.

A set's lines stand in order of use or arrival, the last one first, as `number * 2 + dirty`; -1 is
none. LLVM makes of a vector what the processor has, whatever its width. It has to be known when
the code is compiled, and therefore comes as the length of a tuple.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDEST = 64
"""Ways whose comparisons fit one word of bits."""


def width_of(ways: int) -> int:
    """Return the length of the vector that holds a set: a power of two, at least 4."""
    return max(4, 1 << (ways - 1).bit_length())


def _loaded(context: Any, builder: Any, lines: Any, base: Any, width: int) -> tuple[Any, Any]:
    """Load a set; return where it stands and its vector."""
    array_type, array = lines
    data = context.make_array(array_type)(context, builder, array).data
    element = context.get_value_type(array_type.dtype)
    vector = ir.VectorType(element, width)
    pointer = builder.bitcast(builder.gep(data, [base]), vector.as_pointer())
    return pointer, builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def _splat(builder: Any, value: Any, like: Any) -> Any:
    """Return a vector of one value, cut to the width of the elements of another vector."""
    if value.type.width > like.type.element.width:
        value = builder.trunc(value, like.type.element)
    first = builder.insert_element(ir.Constant(like.type, ir.Undefined), value, _word(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), like.type.count), None)
    return builder.shuffle_vector(first, first, zeros)


def _word(value: int) -> Any:
    return ir.Constant(ir.IntType(32), value)


# Of the arguments of intrinsics numba gives the types, and of those of `generate` the values.


@intrinsic
def _matching(_: Any, lines: Any, base: Any, entry: Any, width: Any) -> Any:  # noqa: ARG001
    """Compare a set's lines with an entry, dirty or not; return a bit for each way."""
    signature = types.uint64(lines, types.int64, types.int64, width)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, at, wanted, _ = args
        _, held = _loaded(context, builder, (signature.args[0], array), at, len(width))
        either = builder.or_(held, ir.Constant(held.type, [1] * len(width)))
        wanted = builder.or_(wanted, ir.Constant(wanted.type, 1))
        equal = builder.icmp_signed("==", either, _splat(builder, wanted, held))
        bits = builder.bitcast(equal, ir.IntType(len(width)))
        word = ir.IntType(64)
        return bits if bits.type == word else builder.zext(bits, word)

    return signature, generate


@intrinsic
def _lowest(_: Any, bits: Any) -> Any:  # noqa: ARG001
    """Return the number of the lowest bit that is set; at least one must be."""
    signature = types.int64(types.uint64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.cttz(args[0], cgutils.true_bit)

    return signature, generate


@intrinsic
def _to_front(_: Any, lines: Any, base: Any, way: Any, new: Any, width: Any) -> Any:  # noqa: ARG001
    """Put a new entry first in its set; those before `way` move up by one, over what was there."""
    signature = types.void(lines, types.int64, types.int64, types.int64, width)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, at, last, first, _ = args
        count = len(width)
        pointer, held = _loaded(context, builder, (signature.args[0], array), at, count)
        steps = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(count)))
        moved = builder.shuffle_vector(_splat(builder, first, held), held, _moves(count))
        before = builder.icmp_signed("<=", steps, _splat(builder, last, steps))
        builder.store(
            builder.select(before, moved, held), pointer, align=held.type.element.width // 8
        )
        return context.get_dummy_value()

    return signature, generate


def _moves(count: int) -> Any:
    """Say which element of (new vector, old vector) comes where when all move up by one."""
    places = [0, *range(count, 2 * count - 1)]
    return ir.Constant(ir.VectorType(ir.IntType(32), count), places)


matching_ways: Any = _matching
lowest_bit: Any = _lowest
move_to_front: Any = _to_front
