"""Which register groups an instruction uses under a vtype, and whether it may.

Source: The RISC-V "V" Vector Extension, version 1.0, sections 3.4.2, 5.2, 5.3, 16.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.cpu.riscv.vector.configuration import VectorType, largest_element_bits
from sim.cpu.riscv.vector.operands import NONE, VectorOperands
from sim.cpu.riscv.vector.operation import Addressing, Form, Scalar, VectorOperation

_MOST_GROUP_LOG2 = 3
_LEAST_BITS = 8
_FLOAT_BITS = (32, 64)
_NO_OVERLAP = frozenset({Form.SLIDE_UP, Form.SLIDE_ONE_UP, Form.GATHER})
_MASK_SOURCES = frozenset({Form.MASK, Form.COUNT, Form.FIRST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A register group as an operand."""

    register: int
    element_bits: int
    """EEW; 1 for a mask."""
    log2: int
    """EMUL as a power of two."""
    written: bool = False
    read: bool = True
    floating: bool = False

    @property
    def count(self) -> int:
        """Registers that it takes."""
        return 1 << max(self.log2, 0)

    @property
    def end(self) -> int:
        """The first register behind it."""
        return self.register + self.count

    def overlaps(self, other: Group) -> bool:
        """Whether a register belongs to both."""
        return self.register < other.end and other.register < self.end


def groups(
    operation: VectorOperation, operands: VectorOperands, vtype: VectorType
) -> tuple[Group, ...]:
    """Return the operands' groups, a written one first; the mask v0 too."""
    found = list(_groups(operation, operands, vtype))
    if operands.masked:
        found.append(Group(register=0, element_bits=1, log2=0))
    return tuple(found)


def _groups(
    operation: VectorOperation, operands: VectorOperands, vtype: VectorType
) -> Iterator[Group]:
    form = operation.form
    if form in (Form.LOAD, Form.STORE):
        yield from _accessed(operation, operands, vtype)
        return
    to_float, from_float = operation.floating
    sew, lmul = vtype.element_bits, vtype.group_log2
    if operands.vd != NONE:
        mask = form in (Form.COMPARE, Form.MASK)
        width, log2 = _widened(sew, operation.widths[0]), lmul + operation.widths[0]
        if mask or form in (Form.REDUCE, Form.FROM_SCALAR):
            width, log2 = 1 if mask else sew, 0
        yield Group(
            register=operands.vd,
            element_bits=width,
            log2=_copied(operation, log2),
            written=True,
            read=operation.reads_vd,
            floating=to_float,
        )
    if operands.vs2 != NONE:
        width, log2 = _widened(sew, operation.widths[1]), lmul + operation.widths[1]
        if form in _MASK_SOURCES or form is Form.TO_SCALAR:
            width, log2 = sew if form is Form.TO_SCALAR else 1, 0
        yield Group(
            register=operands.vs2,
            element_bits=width,
            log2=_copied(operation, log2),
            floating=from_float,
        )
    if operands.vs1 != NONE:
        width, log2 = _widened(sew, operation.widths[2]), lmul + operation.widths[2]
        if form in (Form.MASK, Form.REDUCE):
            width, log2 = 1 if form is Form.MASK else sew, 0
        yield Group(register=operands.vs1, element_bits=width, log2=log2, floating=from_float)


def _copied(operation: VectorOperation, log2: int) -> int:
    count = operation.whole_registers
    return count.bit_length() - 1 if count else log2


def _widened(bits: int, power: int) -> int:
    """Return a width, 0 where no element is so narrow."""
    made = bits << power if power >= 0 else bits >> -power
    return made if made >= _LEAST_BITS else 0


def _accessed(
    operation: VectorOperation, operands: VectorOperands, vtype: VectorType
) -> Iterator[Group]:
    bits, sew, lmul = operation.element_bits, vtype.element_bits, vtype.group_log2
    scaled = lmul + bits.bit_length() - sew.bit_length()
    width, log2 = bits, scaled
    if operation.addressing is Addressing.INDEXED:
        width, log2 = sew, lmul
    elif operation.addressing is Addressing.MASK:
        width, log2 = 1, 0
    load = operation.form is Form.LOAD
    yield Group(
        register=operands.vd,
        element_bits=width,
        log2=_copied(operation, log2),
        written=load,
        read=not load,
    )
    if operation.addressing is Addressing.INDEXED:
        yield Group(register=operands.vs2, element_bits=bits, log2=scaled)


def problem(
    operation: VectorOperation, operands: VectorOperands, vtype: VectorType, vlen_bits: int
) -> str:
    """Return why an instruction is illegal under a vtype, an empty text where it is not."""
    used = groups(operation, operands, vtype)
    if operation.scalar is Scalar.FLOAT and vtype.element_bits not in _FLOAT_BITS:
        return f"a floating-point scalar under {vtype}; write e32 or e64"
    for group in used:
        found = _alone(group, vtype, vlen_bits)
        if found:
            return found
    sources = [group for group in used if group.read]
    for place, group in enumerate(sources):
        for other in sources[:place]:
            if group.overlaps(other) and group.element_bits != other.element_bits:
                return (
                    f"v{max(group.register, other.register)} is read with elements of "
                    f"{other.element_bits} and of {group.element_bits} bits; use other registers"
                )
    if used and used[0].written:
        return _destination(used[0], used[1:], operation, operands)
    return ""


def _alone(group: Group, vtype: VectorType, vlen_bits: int) -> str:
    bits, widest = group.element_bits, largest_element_bits(vlen_bits)
    if bits == 0:
        return f"elements of less than {_LEAST_BITS} bits (under {vtype}); write a wider one"
    if bits > widest:
        return f"elements of {bits} bits (under {vtype}); this unit has {_LEAST_BITS} to {widest}"
    if group.floating and bits not in _FLOAT_BITS:
        return f"floating point of {bits} bits (under {vtype}); write e32 or e64"
    if not -_MOST_GROUP_LOG2 <= group.log2 <= _MOST_GROUP_LOG2:
        size = f"{1 << group.log2}" if group.log2 > 0 else f"1/{1 << -group.log2}"
        return f"a group of {size} registers (under {vtype}); groups have 1/8 to 8"
    if group.register % group.count:
        return (
            f"v{group.register} begins no group of {group.count} registers (under {vtype}); "
            f"write a multiple of {group.count}"
        )
    return ""


def _destination(
    dest: Group, sources: tuple[Group, ...], operation: VectorOperation, operands: VectorOperands
) -> str:
    if operation.form is Form.REDUCE:
        return ""
    masked = operands.masked or operation.form is Form.MERGE
    if masked and dest.register == 0 and dest.element_bits != 1:
        return "v0 is written and is the mask; write to another register"
    for source in sources:
        if not dest.overlaps(source):
            continue
        where = f"v{dest.register} overlaps the source v{source.register}"
        if operation.form in _NO_OVERLAP:
            return f"{where}; write to other registers"
        lowest = dest.register == source.register
        highest = dest.end == source.end and source.log2 >= 0
        if dest.element_bits < source.element_bits and not lowest:
            return f"{where}, of wider elements, but not in its lowest part; use other registers"
        if dest.element_bits > source.element_bits and not highest:
            return f"{where}, of narrower elements, but not as its highest part; use others"
    return ""
