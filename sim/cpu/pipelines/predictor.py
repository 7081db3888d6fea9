"""Branch prediction in IF: a branch target buffer and a direction predictor."""

from __future__ import annotations

from dataclasses import dataclass

from sim.cpu.pipelines.spec import PredictorSpec
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Program


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    address: int
    target: int
    conditional: bool


class Predictor:
    """Guesses the next address; learns when control flow is resolved.

    Models: a direct-mapped target buffer filled by every branch and jump; jumps in it always
    predicted taken; fixed directions, or saturating counters chosen by address and global history.
    Ignores: return address stacks; speculative update of the history.
    Source: Smith, A Study of Branch Prediction Strategies, ISCA 1981; McFarling, Combining Branch
    Predictors, DEC WRL TN-36, 1993 (gshare).
    """

    def __init__(self, spec: PredictorSpec) -> None:
        self.spec = spec
        self.total = 0
        """Branches and jumps resolved."""
        self.hits = 0
        """Those whose next address was right."""
        index_bits = spec.address_bits + spec.history_bits
        if spec.combine == "xor":
            index_bits = max(spec.address_bits, spec.history_bits)
        self._counters = [spec.initial] * (1 << index_bits)
        self._buffer: dict[int, _Entry] = {}
        self._history = 0

    def predict(self, address: int) -> int:
        """Return the next address to fetch after the instruction at `address`."""
        entry = self._buffer.get(self._place(address))
        if entry is None or entry.address != address:
            return address + INSTRUCTION_BYTES
        taken = not entry.conditional or self._direction(entry)
        return entry.target if taken else address + INSTRUCTION_BYTES

    def update(
        self, address: int, target: int, *, conditional: bool, taken: bool, correct: bool
    ) -> None:
        """Learn one resolved branch or jump; `target` is where it goes when taken."""
        self.total += 1
        self.hits += correct
        self._buffer[self._place(address)] = _Entry(
            address=address, target=target, conditional=conditional
        )
        if conditional:
            number = self._number(address)
            most = (1 << self.spec.counter_bits) - 1
            moved = self._counters[number] + (1 if taken else -1)
            self._counters[number] = min(max(moved, 0), most)
        mask = (1 << self.spec.history_bits) - 1
        self._history = (self._history << 1 | taken) & mask

    def _direction(self, entry: _Entry) -> bool:
        if self.spec.scheme == "counter":
            half = 1 << (self.spec.counter_bits - 1)
            return self._counters[self._number(entry.address)] >= half
        if self.spec.scheme == "backward-taken":
            return entry.target <= entry.address
        return self.spec.scheme == "taken"

    def _place(self, address: int) -> int:
        return address // INSTRUCTION_BYTES & ((1 << self.spec.buffer_bits) - 1)

    def _number(self, address: int) -> int:
        part = address // INSTRUCTION_BYTES & ((1 << self.spec.address_bits) - 1)
        if self.spec.combine == "xor":
            return part ^ self._history
        return self._history << self.spec.address_bits | part


class PerfectPredictor(Predictor):
    """Knows every next address: the bound that no predictor passes.

    Models: a functional machine that runs ahead with fetch, an instruction for each fetched.
    Ignores: how anything could know.
    Source: Wall, Limits of Instruction-Level Parallelism, ASPLOS 1991 (perfect prediction as a
    bound).
    """

    def __init__(self, spec: PredictorSpec, program: Program) -> None:
        super().__init__(spec)
        self._ahead = Machine(program)

    def predict(self, address: int) -> int:
        """Return the next address; asked once for each fetched instruction, in order."""
        if self._ahead.exit_code is not None:  # fetched behind the end
            return address + INSTRUCTION_BYTES
        self._ahead.step()
        return self._ahead.address
