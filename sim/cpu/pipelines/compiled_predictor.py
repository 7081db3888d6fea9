"""The compiled twin of the predictor: tables as arrays, the same guesses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.pipelines.spec import PredictorSpec
from sim.cpu.riscv.program import INSTRUCTION_BYTES
from sim.jit import njit

Ints = npt.NDArray[np.int64]

SCHEME, BITS, INITIAL, HISTORY, ADDRESS, BUFFER, XOR, ENTRIES, COUNTERS = range(9)
"""Places of a predictor's rules: bits of a counter and of what numbers it, sizes of its tables."""
SCHEMES = ("none", "not-taken", "taken", "backward-taken", "counter", "perfect")
TAKEN, BACKWARD_TAKEN, COUNTER, PERFECT = range(2, 6)


def predictor_rules(spec: PredictorSpec | None) -> Ints:
    """Return the rules of a predictor, or of none, as numbers."""
    if spec is None:
        return np.array([0, 0, 0, 0, 0, 0, 0, 1, 1], dtype=np.int64)
    rules = [
        SCHEMES.index(spec.scheme),
        spec.counter_bits,
        spec.initial,
        spec.history_bits,
        spec.address_bits,
        spec.buffer_bits,
        spec.combine == "xor",
        1 << spec.buffer_bits,
        1 << (spec.history_bits + spec.address_bits),
    ]
    return np.array(rules, dtype=np.int64)


@njit(cache=True)
def _counter(rules: Ints, address: int, history: int) -> int:
    part = (address >> 2) & ((1 << rules[ADDRESS]) - 1)
    if rules[XOR]:
        return int(part ^ history)
    return int((history << rules[ADDRESS]) | part)


@njit(cache=True)
def predicted(rules: Ints, address: int, entries: Ints, counters: Ints, history: int) -> int:
    """Return the address that follows in the predictor's eyes; an entry is its columns."""
    entry = entries[(address >> 2) & ((1 << rules[BUFFER]) - 1)]
    following = address + INSTRUCTION_BYTES
    if rules[SCHEME] == 0 or entry[0] != address:
        return following
    taken = not entry[2] or rules[SCHEME] == TAKEN
    if not taken and rules[SCHEME] == BACKWARD_TAKEN:
        taken = entry[1] <= address
    elif not taken and rules[SCHEME] == COUNTER:
        taken = counters[_counter(rules, address, history)] >= 1 << (rules[BITS] - 1)
    return int(entry[1]) if taken else following


@njit(cache=True)
def learn(  # noqa: PLR0917 - the predictor's tables and what they learn
    rules: Ints, conditional: int, event: Ints, entries: Ints, counters: Ints, history: int
) -> int:
    """Take in one resolved (address, target, taken); return the new history."""
    place = entries[(event[0] >> 2) & ((1 << rules[BUFFER]) - 1)]
    place[0], place[1], place[2] = event[0], event[1], conditional
    if conditional:
        number = _counter(rules, event[0], history)
        moved = counters[number] + (1 if event[2] else -1)
        counters[number] = min(max(moved, 0), (1 << rules[BITS]) - 1)
    return int(((history << 1) | event[2]) & ((1 << rules[HISTORY]) - 1))
