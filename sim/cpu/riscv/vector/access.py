"""Vector loads and stores: where each element lies, and its move to or from memory.

Source: The RISC-V "V" Vector Extension, version 1.0, section 7.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.cpu.riscv.integers import wrap
from sim.cpu.riscv.memory import Memory
from sim.cpu.riscv.vector.operands import VectorOperands
from sim.cpu.riscv.vector.operation import Addressing, Form, VectorOperation
from sim.cpu.riscv.vector.state import VectorState


def access(
    state: VectorState,
    memory: Memory,
    operation: VectorOperation,
    operands: VectorOperands,
    values: Sequence[int],
) -> None:
    """Do a load or store, element by element; `values` are the base and the stride.

    ExecutionError for a misaligned or wild element; those before it are done by then.
    """
    bits = operation.element_bits
    if operation.addressing is Addressing.INDEXED:
        bits = state.valid_type().element_bits
    size = bits // 8
    for index in state.active(operands, _length(state, operation)):
        offset = index * size
        if operation.addressing is Addressing.STRIDED:
            offset = index * values[1]
        elif operation.addressing is Addressing.INDEXED:
            offset = state.element(operands.vs2, index, operation.element_bits)
        address = wrap(state.xlen, values[0] + offset)
        if operation.form is Form.LOAD:
            state.set_element(operands.vd, index, bits, memory.read(address, size))
        else:
            memory.write(address, size, state.element(operands.vd, index, bits))


def _length(state: VectorState, operation: VectorOperation) -> int:
    """Return how many elements are moved, masked ones too."""
    if operation.addressing is Addressing.WHOLE:
        return operation.whole_registers * state.vlen_bits // operation.element_bits
    if operation.addressing is Addressing.MASK:
        return -(-state.length // 8)
    return state.length
