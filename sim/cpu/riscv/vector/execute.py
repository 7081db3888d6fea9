"""Vector instructions executed on the readable machine's vector state.

Source: The RISC-V "V" Vector Extension, version 1.0, sections 6, 10 to 16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sim.cpu.riscv.float_operations import box, unbox
from sim.cpu.riscv.integers import extend, signed, wrap
from sim.cpu.riscv.memory import ExecutionError, Memory
from sim.cpu.riscv.program import Instruction
from sim.cpu.riscv.vector.access import access
from sim.cpu.riscv.vector.configuration import VectorType
from sim.cpu.riscv.vector.elements import (
    COMPARISONS,
    ELEMENTS,
    MASK_LOGIC,
    converted,
    format_of,
    widened,
)
from sim.cpu.riscv.vector.legality import problem
from sim.cpu.riscv.vector.operands import NONE, VectorOperands
from sim.cpu.riscv.vector.operation import Form, Scalar, VectorOperation
from sim.cpu.riscv.vector.state import VectorState

_ANY_TYPE = VectorType(element_bits=8, group_log2=0)
"""For what depends on none."""


def execute(
    state: VectorState, memory: Memory, instruction: Instruction, values: Sequence[int]
) -> int:
    """Do an instruction; return what its scalar destination receives.

    `values` are the scalar sources. ExecutionError where it is illegal under the vtype.
    """
    operation, operands = instruction.operation, instruction.vector
    if not isinstance(operation, VectorOperation) or operands is None:
        raise TypeError(f"'{instruction.mnemonic}' is no vector instruction")
    if operation.form is Form.SET:
        return _configure(state, instruction, values)
    vtype = state.valid_type() if operation.needs_vtype else _ANY_TYPE
    wrong = problem(operation, operands, vtype, state.vlen_bits)
    if wrong:
        raise ExecutionError(f"illegal: {wrong}")
    if operation.form in (Form.LOAD, Form.STORE):
        access(state, memory, operation, operands, values)
        return 0
    unit = _Doing(state, instruction, operation, vtype, values)
    return _FORMS[operation.form](unit)


def data_base(instruction: Instruction, values: Sequence[int]) -> int:
    """Return the address at which a vector access begins, -1 for other instructions."""
    operation = instruction.operation
    accesses = isinstance(operation, VectorOperation) and operation.form in (Form.LOAD, Form.STORE)
    return values[0] if accesses else -1


def _configure(state: VectorState, instruction: Instruction, values: Sequence[int]) -> int:
    if instruction.mnemonic == "vsetivli":
        return state.configure(instruction.immediate >> 5, instruction.immediate & 31)
    vtype = instruction.immediate if instruction.mnemonic == "vsetvli" else values[1]
    wanted: int | None = values[0]
    if instruction.sources[0] == 0:
        wanted = None if instruction.dest is None else state.vlen_bits * 8
    return state.configure(vtype, wanted)


class _Doing:
    """One instruction at work: its operands' widths and how to read them."""

    def __init__(
        self,
        state: VectorState,
        instruction: Instruction,
        operation: VectorOperation,
        vtype: VectorType,
        values: Sequence[int],
    ) -> None:
        self.state = state
        self.operation = operation
        self.operands = instruction.vector or VectorOperands()
        self.bits = vtype.element_bits
        """SEW."""
        self.most = vtype.elements(state.vlen_bits)
        """VLMAX."""
        self.dest_bits, self.vs2_bits, self.vs1_bits = (
            self.bits << power if power >= 0 else self.bits >> -power for power in operation.widths
        )
        self.work_bits = max(self.dest_bits, self.vs2_bits, self.vs1_bits)
        immediate = instruction.immediate
        self.scalar = self._scalar(immediate, values)
        """What stands in for vs1, SEW bits."""
        self.offset = immediate if operation.scalar is Scalar.IMMEDIATE else (*values, 0)[0]
        """The same as an unsigned number of elements."""

    def _scalar(self, immediate: int, values: Sequence[int]) -> int:
        kind = self.operation.scalar
        if kind is Scalar.FLOAT:
            return unbox(format_of(self.bits), values[0])
        if kind is Scalar.INTEGER:
            return wrap(self.bits, signed(self.state.xlen, values[0]))
        return wrap(self.bits, immediate)

    def first(self, index: int) -> int:
        """Return an element of vs2, widened to what the operation works on."""
        if self.operands.vs2 == NONE:
            return 0
        return widened(
            self.vs2_bits,
            self.work_bits,
            self.state.element(self.operands.vs2, index, self.vs2_bits),
            floating=self.operation.floating[1],
            sign=self.operation.signed[0],
        )

    def second(self, index: int) -> int:
        """Return an element of vs1, or the scalar, widened."""
        pattern = self.scalar
        if self.operands.vs1 != NONE:
            pattern = self.state.element(self.operands.vs1, index, self.vs1_bits)
        return widened(
            self.vs1_bits,
            self.work_bits,
            pattern,
            floating=self.operation.floating[1],
            sign=self.operation.signed[1],
        )

    def old(self, index: int) -> int:
        """Return an element of the old destination."""
        return self.state.element(self.operands.vd, index, self.dest_bits)

    def put(self, index: int, value: int) -> None:
        """Write an element of the destination."""
        self.state.set_element(self.operands.vd, index, self.dest_bits, value)

    def active(self) -> list[int]:
        """Return the places of the elements that take part."""
        return list(self.state.active(self.operands))


def _elementwise(unit: _Doing) -> int:
    function = ELEMENTS[unit.operation.does]
    for index in unit.active():
        value = function(unit.work_bits, unit.first(index), unit.second(index), unit.old(index))
        unit.put(index, value)
    return 0


def _compare(unit: _Doing) -> int:
    function = COMPARISONS[unit.operation.does]
    for index in unit.active():
        holds = function(unit.bits, unit.first(index), unit.second(index))
        unit.state.set_bit(unit.operands.vd, index, int(holds))
    return 0


def _convert(unit: _Doing) -> int:
    for index in unit.active():
        pattern = unit.state.element(unit.operands.vs2, index, unit.vs2_bits)
        value = converted(unit.operation.does, unit.dest_bits, unit.vs2_bits, pattern)
        unit.put(index, value)
    return 0


def _reduce(unit: _Doing) -> int:
    """Begin with vs1[0] and take the elements in order, also where any order is allowed."""
    if not unit.state.length:
        return 0
    total, function = unit.second(0), ELEMENTS[unit.operation.does]
    for index in unit.active():
        total = function(unit.bits, total, unit.first(index), 0)
    unit.put(0, total)
    return 0


def _mask(unit: _Doing) -> int:
    state, operands, function = unit.state, unit.operands, MASK_LOGIC[unit.operation.does]
    for index in range(state.length):
        value = function(state.bit(operands.vs2, index), state.bit(operands.vs1, index))
        state.set_bit(operands.vd, index, value)
    return 0


def _count(unit: _Doing) -> int:
    return sum(unit.state.bit(unit.operands.vs2, index) for index in unit.active())


def _first(unit: _Doing) -> int:
    found = (index for index in unit.active() if unit.state.bit(unit.operands.vs2, index))
    return wrap(unit.state.xlen, next(found, -1))


def _slide_up(unit: _Doing) -> int:
    for index in unit.active():
        if index >= unit.offset:
            unit.put(index, unit.first(index - unit.offset))
    return 0


def _slide_down(unit: _Doing) -> int:
    for index in unit.active():
        source = index + unit.offset
        unit.put(index, unit.first(source) if source < unit.most else 0)
    return 0


def _slide_one_up(unit: _Doing) -> int:
    for index in unit.active():
        unit.put(index, unit.first(index - 1) if index else unit.scalar)
    return 0


def _slide_one_down(unit: _Doing) -> int:
    last = unit.state.length - 1
    for index in unit.active():
        unit.put(index, unit.first(index + 1) if index < last else unit.scalar)
    return 0


def _gather(unit: _Doing) -> int:
    for index in unit.active():
        source = unit.second(index) if unit.operands.vs1 != NONE else unit.offset
        unit.put(index, unit.first(source) if source < unit.most else 0)
    return 0


def _merge(unit: _Doing) -> int:
    for index in range(unit.state.length):
        chosen = unit.second if unit.state.bit(0, index) else unit.first
        unit.put(index, chosen(index))
    return 0


def _to_scalar(unit: _Doing) -> int:
    pattern = unit.first(0)
    if unit.operation.floating[1]:
        return box(format_of(unit.bits), pattern)
    return extend(unit.state.xlen, unit.bits, pattern)


def _from_scalar(unit: _Doing) -> int:
    if unit.state.length:
        unit.put(0, unit.scalar)
    return 0


def _index(unit: _Doing) -> int:
    for index in unit.active():
        unit.put(index, index)
    return 0


def _copy(unit: _Doing) -> int:
    size, content = unit.state.register_bytes, unit.state.content
    count = unit.operation.whole_registers * size
    source, target = unit.operands.vs2 * size, unit.operands.vd * size
    content[target : target + count] = content[source : source + count]
    return 0


_FORMS: Mapping[Form, Callable[[_Doing], int]] = {
    Form.ELEMENTWISE: _elementwise,
    Form.COMPARE: _compare,
    Form.CONVERT: _convert,
    Form.REDUCE: _reduce,
    Form.MASK: _mask,
    Form.COUNT: _count,
    Form.FIRST: _first,
    Form.SLIDE_UP: _slide_up,
    Form.SLIDE_DOWN: _slide_down,
    Form.SLIDE_ONE_UP: _slide_one_up,
    Form.SLIDE_ONE_DOWN: _slide_one_down,
    Form.GATHER: _gather,
    Form.MERGE: _merge,
    Form.TO_SCALAR: _to_scalar,
    Form.FROM_SCALAR: _from_scalar,
    Form.INDEX: _index,
    Form.COPY: _copy,
}
