"""The kernels of `riscv/kernels/*.s` as programs of nested loops, cut at their labels.

What is timed is the very text that is executed: a `Walker` takes the instructions between two
labels, and a tree in `kernel_trees` says how often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

from sim.cpu import isa
from sim.cpu.riscv.assembler import assemble
from sim.cpu.riscv.calls import Call
from sim.cpu.riscv.kernels import kernel_text
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Instruction, Program
from sim.cpu.riscv.registers import NUMBERS, ZERO, F
from sim.cpu.steady import Chain, LineCost, Node, Repeat, Segment

Lines = Mapping[str, LineCost]
"""What first touches cost, by the name of the register that holds the address."""
Cut = Callable[[tuple[isa.Instruction, ...], dict[int, LineCost], bool], Segment]
"""Makes a segment of a body, its lines' costs, and whether its last branch is taken."""

_KINDS: Mapping[Kind, isa.Kind] = {
    Kind.ALU: isa.Kind.ALU,
    Kind.UPPER: isa.Kind.ALU,
    Kind.MULTIPLY: isa.Kind.ALU,
    Kind.LOAD: isa.Kind.LOAD,
    Kind.STORE: isa.Kind.STORE,
    Kind.BRANCH: isa.Kind.BRANCH,
    Kind.JUMP: isa.Kind.BRANCH,
    Kind.INDIRECT: isa.Kind.BRANCH,
    Kind.FLOAT: isa.Kind.FP,
    Kind.FLOAT_MULTIPLY: isa.Kind.FP,
    Kind.FLOAT_DIVIDE: isa.Kind.FP,
}
_ALWAYS_TAKEN = (Kind.JUMP, Kind.INDIRECT)
_ELSEWHERE = (-1, 0)
_LINK = NUMBERS["t0"]
"""Written by the kernels' calls of `exp` and its constants."""


@cache
def kernel_program() -> Program:
    """Return all kernels, assembled."""
    return assemble(kernel_text(), xlen=64, name="kernels")


class Walker:
    """Takes pieces of one kernel as nodes.

    Models: every instruction between two labels, subroutines included; pointers that step.
    Ignores: values: a branch goes where the caller of `code` says.
    Source: The RISC-V Instruction Set Manual, Volume I, version 20240411.
    """

    def __init__(self, kernel: str, strides: Mapping[str, int], cut: Cut) -> None:
        """Take a kernel and what its registers that hold strides hold, in bytes."""
        self._program = kernel_program()
        self._strides = {NUMBERS[name]: stride for name, stride in strides.items()}
        self._cut = cut
        self._made: dict[int, isa.Instruction] = {}
        self._pointers = _pointers(list(self._until(self._program.symbols[kernel], Kind.INDIRECT)))

    def code(
        self,
        start: str,
        stop: str | None = None,
        lines: Lines | None = None,
        *,
        taken: bool = False,
    ) -> Node:
        """Return the code from a label up to another, or up to the kernel's return.

        `taken` says whether the branch in front of `stop` is; branches before it are not.
        """
        costs = {NUMBERS[name]: line for name, line in (lines or {}).items()}
        first = self._program.symbols[start]
        if stop is None:
            piece = list(self._until(first, Kind.INDIRECT))
        else:
            count = (self._program.symbols[stop] - first) // INSTRUCTION_BYTES
            at = self._program.index_of(first) or 0
            piece = list(self._program.instructions[at : at + count])
        return Chain(*self._parts(piece, costs, taken=taken))

    def loop(self, start: str, stop: str, times: int, lines: Lines | None = None) -> Node:
        """Return a loop whose branch back stands in front of `stop`."""
        again = self.code(start, stop, lines, taken=True)
        return Chain(Repeat(again, times - 1), self.code(start, stop, lines))

    def _parts(
        self, piece: list[Instruction], costs: dict[int, LineCost], *, taken: bool
    ) -> Iterator[Node]:
        """Yield segments: jumps end one, and what they call follows."""
        body: list[isa.Instruction] = []
        for instruction in piece:
            body.append(self._timed(instruction))
            if instruction.operation.kind in _ALWAYS_TAKEN:
                yield self._cut(tuple(body), costs, True)
                body = []
                if instruction.dest == _LINK:
                    called = instruction.address + instruction.immediate
                    yield from self._parts(
                        list(self._until(called, Kind.INDIRECT)), costs, taken=False
                    )
        if body:
            yield self._cut(tuple(body), costs, taken)

    def _until(self, address: int, kind: Kind) -> Iterator[Instruction]:
        """Yield instructions up to the first of a kind."""
        at = self._program.index_of(address) or 0
        for instruction in self._program.instructions[at:]:
            yield instruction
            if instruction.operation.kind is kind:
                return

    def _timed(self, instruction: Instruction) -> isa.Instruction:
        address = instruction.address
        if address not in self._made:
            self._made[address] = timed(instruction, self._pointer(instruction))
        return self._made[address]

    def _pointer(self, instruction: Instruction) -> tuple[int, int] | None:
        """From which register and how far a pointer is set; None where no pointer is."""
        dest = instruction.dest
        if dest not in self._pointers:
            return None
        before = (self._program.index_of(instruction.address) or 1) - 1
        if self._program.instructions[before].mnemonic == "auipc":  # `la`, of two
            return _ELSEWHERE
        if instruction.mnemonic == "addi" and instruction.sources[0] in self._pointers:
            return instruction.sources[0], instruction.immediate
        if instruction.mnemonic == "add" and instruction.sources[1] in self._strides:
            return instruction.sources[0], self._strides[instruction.sources[1]]
        return _ELSEWHERE


def _pointers(body: Sequence[Instruction]) -> frozenset[int]:
    """Return the registers that hold addresses of data, or that such are copied from."""
    found = {each.sources[-1] for each in body if each.operation.kind in (Kind.LOAD, Kind.STORE)}
    copies = [each for each in body if each.mnemonic in ("addi", "add")]
    for each in (*copies, *copies):  # twice: a copy of a copy
        if each.dest in found and each.sources[0] != ZERO:
            found.add(each.sources[0])
    return frozenset(found)


def timed(instruction: Instruction, pointer: tuple[int, int] | None) -> isa.Instruction:
    """Return an instruction as the timing models take it."""
    operation = instruction.operation
    memory = operation.kind in (Kind.LOAD, Kind.STORE)
    return isa.Instruction(
        mnemonic=instruction.mnemonic,
        kind=_KINDS[operation.kind],
        dest=instruction.dest,
        sources=tuple(source for source in instruction.sources if source != ZERO),
        base=instruction.sources[-1] if memory else None,
        offset=instruction.immediate if memory else 0,
        bytes=operation.bytes,
        pointer=pointer,
    )


@cache
def preamble(call: Call) -> tuple[isa.Instruction, ...]:
    """Return the instructions that load a call's arguments, and the jump.

    The addresses must be offsets within a cache line, or that less a line: their lower parts then
    set the pointers' phases, and a pointer that came from the line before has touched its own.
    """
    labels = [place for place in call.places if isinstance(place, str)]
    text = "\n".join([*call.lines(), f"{call.kernel}:", "nop"])
    program = assemble(text, xlen=64, name=call.kernel, symbols=dict.fromkeys(labels, 0))
    return tuple(timed(each, _phase(each)) for each in program.instructions[:-1])


def _phase(instruction: Instruction) -> tuple[int, int] | None:
    dest = instruction.dest
    if dest is None or dest >= F or instruction.operation.kind is Kind.JUMP:
        return None
    return (dest, instruction.immediate) if instruction.sources == (dest,) else _ELSEWHERE
