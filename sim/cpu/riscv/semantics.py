"""The one table of instructions, and what each does with the values it is given.

Both the functional machine and the pipelines compute through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim.cpu.riscv.float_operations import FLOAT_OPERATIONS
from sim.cpu.riscv.integers import INTEGER_OPERATIONS, wrap
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.operation import Kind, Operation
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Instruction, Xlen

OPERATIONS: Mapping[str, Operation] = {**INTEGER_OPERATIONS, **FLOAT_OPERATIONS}
"""Mnemonic to what it is."""


def result(instruction: Instruction, values: Sequence[int], xlen: Xlen) -> int:
    """Return what an instruction without memory access writes to its destination, 0 if nothing."""
    operation = instruction.operation
    if operation.kind is Kind.VECTOR:
        raise ExecutionError(
            f"'{instruction.mnemonic}' needs vector registers, which this machine has not; use "
            "sim.cpu.riscv.execute or its compiled machine"
        )
    if operation.kind is Kind.BRANCH:
        return 0
    if operation.kind in (Kind.JUMP, Kind.INDIRECT):
        return wrap(xlen, instruction.address + INSTRUCTION_BYTES)
    arguments: list[object] = list(values)
    if operation.has_immediate:
        arguments.append(instruction.immediate)
    if instruction.mnemonic == "auipc":
        arguments.append(instruction.address)
    if operation.rounds:
        arguments.append(instruction.rounding)
    return operation.function(xlen, *arguments)


def data_address(instruction: Instruction, values: Sequence[int], xlen: Xlen) -> int:
    """Return the address of a load, store or atomic; the base is its last source."""
    return wrap(xlen, values[-1] + instruction.immediate)


def is_taken(instruction: Instruction, values: Sequence[int], xlen: Xlen) -> bool:
    """Whether it is a jump, or a branch whose condition holds."""
    operation = instruction.operation
    if operation.kind is Kind.BRANCH:
        return bool(operation.function(xlen, *values))
    return operation.transfers_control


def next_address(instruction: Instruction, values: Sequence[int], xlen: Xlen) -> int:
    """Return where an instruction goes on."""
    operation = instruction.operation
    if operation.kind is Kind.INDIRECT:
        return operation.function(xlen, *values, instruction.immediate)
    taken = is_taken(instruction, values, xlen)
    return wrap(xlen, instruction.address + (instruction.immediate if taken else INSTRUCTION_BYTES))
