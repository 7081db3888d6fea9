"""A decode step of a traced model as one RV64 program: a call of a kernel for each operation.

The trace says what is computed and where it lies; a few numbers that it leaves out, such as a
norm's epsilon, are given beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.cpu.riscv.assembler import assemble
from sim.cpu.riscv.calls import GROUP, ModelNumbers, bits_of, calls_of
from sim.cpu.riscv.kernel_set import SCALAR_KERNELS, KernelSet
from sim.cpu.riscv.kernels import kernel_text
from sim.cpu.riscv.program import Program
from sim.errors import TokenclockError
from workloads.trace import PlacedOp, Role, Trace

Floats = npt.NDArray[np.float32]

TEXT_BASE = 0x4000_0000
DATA_BASE = 0x5000_0000
"""Of the kernels' constants; tensors lie at their addresses in the trace, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgram:
    """A decode step's program, and the operation that begins at each mark."""

    program: Program
    ops: Mapping[int, PlacedOp]
    """By the address of its first instruction."""
    end: int
    """Address of the exit call behind the last operation."""

    @property
    def marks(self) -> tuple[int, ...]:
        """Addresses at which sections begin."""
        return (*self.ops, self.end)


def step_program(
    trace: Trace, step: int, numbers: ModelNumbers, kernels: KernelSet = SCALAR_KERNELS
) -> StepProgram:
    """Write and assemble the program of a decode step, counted from 1.

    TokenclockError for what has no kernel: batches, other element types, other operations.
    """
    placed = [at for at in trace.placed_ops() if at.op.step == step]
    if step < 1 or not placed:
        raise TokenclockError(f"the trace of {trace.model} has no decode step {step}")
    if trace.batch != 1 or trace.dtype != "float32":
        raise TokenclockError(
            f"programs are written for one sequence in float32, not {trace.batch} in "
            f"{trace.dtype}; trace with batch 1 and dtype float32"
        )
    lines = ["main:"]
    for at in placed:
        lines.append(f"op_{at.index}:")
        for call in calls_of(at.op, _places(trace, at), numbers, kernels.writers):
            lines += call.lines()
    angles = _angles(numbers, trace.prompt_tokens + step - 1)
    lines += ["op_end:", "li a7, 10", "ecall", kernel_text(kernels.names), *angles]
    program = assemble(
        "\n".join(lines),
        xlen=64,
        name=f"step {step} of {trace.model}",
        text_base=TEXT_BASE,
        data_base=DATA_BASE,
    )
    return StepProgram(
        program=program,
        ops={program.symbols[f"op_{at.index}"]: at for at in placed},
        end=program.symbols["op_end"],
    )


def _places(trace: Trace, at: PlacedOp) -> list[int]:
    """Return where an operation's reads and writes begin."""
    return [
        trace.tensors[access.tensor].address_in(at.layer) + access.offset_bytes
        for access in (*at.op.reads, *at.op.writes)
    ]


def _angles(numbers: ModelNumbers, position: int) -> Iterator[str]:
    """Yield the position's cosines and sines as data."""
    if numbers.rope_theta is None:
        return
    pairs = numbers.head_size // 2
    turns = position * numbers.rope_theta ** (-np.arange(pairs) / pairs)
    yield ".data"
    for label, values in (("cosines", np.cos(turns)), ("sines", np.sin(turns))):
        yield ".align 6"
        yield f"{label}: .word " + ", ".join(str(bits_of(value)) for value in values)


def packed(weight: Floats, columns: int = GROUP) -> Floats:
    """Pack a weight [k, n] as products walk it: panels of so many columns, then the rest.

    Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
    34(3), 2008.
    """
    k, count = weight.shape[0], weight.shape[1] // columns
    whole = count * columns
    panels = weight[:, :whole].reshape(k, count, columns).transpose(1, 0, 2)
    return np.concatenate([panels.ravel(), weight[:, whole:].ravel()])


def packed_weights(trace: Trace, numbers: ModelNumbers) -> frozenset[str]:
    """Names of the weights that lie packed: those of products that are not transposed."""
    return frozenset(
        trace.tensors[access.tensor].name
        for block in trace.blocks
        for op in block.ops
        if op.kind == "matmul" and op.name not in numbers.transposed
        for access in op.reads
        if trace.tensors[access.tensor].role is Role.WEIGHT
    )


def tensor_bytes(trace: Trace) -> int:
    """Length of the memory that holds all tensors, from address 0."""
    return max(t.address_in(t.layers - 1) + t.bytes for t in trace.tensors)
