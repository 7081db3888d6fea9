"""How cores share memory, as small programs: each pattern, and the same work kept apart.

`accesses` are a core's loads, stores and atomics, up to whole steps of the pattern; cores that wait
for each other make more, as they look again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from sim.errors import LawViolationError, SpecError, did_you_mean
from sim.memory.coherent.cache import add, load, store, work
from sim.memory.coherent.core import Program
from sim.memory.coherent.monitor import WORD_BYTES

SHARED_LINES = 64
"""Of the table that all cores read."""
LOOK_AGAIN_CYCLES = 2
"""Work between two looks at a word that another core is to write."""
SLOTS = 8
"""Items on their way from a producer to its consumer."""
MATMUL_DEPTH = 8
"""K of the product [M, K] x [K, N]."""
MATMUL_COLUMNS = 2
"""Columns of the product that each core computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a pattern is built for."""

    cores: int
    accesses: int
    """Of each core."""
    line_bytes: int
    apart: bool
    """Whether the cores' data are kept in lines of their own."""

    def own(self, core: int) -> int:
        """Address of a core's word: beside the others', or in a line of its own."""
        return core * (self.line_bytes if self.apart else WORD_BYTES)

    def region(self, number: int) -> int:
        """Address of a region, far from all others."""
        return (number + 1) << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One way to share."""

    summary: str
    apart: str
    """What the same work kept apart is; empty where it is apart as it stands."""
    program: Callable[[Shape, int], Program]
    """From the shape and a core's number."""
    in_pairs: bool = False
    """Whether cores work two by two."""


def build(name: str, shape: Shape) -> list[Program]:
    """Return the programs of a pattern by its name; SpecError for a name or shape it has not."""
    pattern = find_pattern(name)
    if shape.cores < 1 or shape.accesses < 1:
        raise SpecError(f"{shape.cores} cores of {shape.accesses} accesses: each at least 1")
    if pattern.in_pairs and shape.cores % 2:
        raise SpecError(f"{name} works two by two: {shape.cores} cores leave one over")
    return [pattern.program(shape, core) for core in range(shape.cores)]


def find_pattern(name: str) -> Pattern:
    """Return a pattern by its name; SpecError names the nearest."""
    if name not in PATTERNS:
        raise SpecError(f"no sharing pattern is named '{name}'{did_you_mean(name, PATTERNS)}")
    return PATTERNS[name]


def _own_words(shape: Shape, core: int) -> Program:
    """Read and write the core's own word, again and again."""
    for step in range(-(-shape.accesses // 2)):
        _old = yield load(shape.own(core))
        _new = yield store(shape.own(core), step + 1)


def _private(shape: Shape, core: int) -> Program:
    apart = Shape(
        cores=shape.cores, accesses=shape.accesses, line_bytes=shape.line_bytes, apart=True
    )
    return _own_words(apart, core)


def _counter(shape: Shape, core: int) -> Program:
    """Add to one counter that all cores share, or each to its own."""
    for _ in range(shape.accesses):
        _old = yield add(shape.own(core) if shape.apart else 0, 1)


def _table(shape: Shape, core: int) -> Program:
    """Read a table line by line: one for all, or a copy each."""
    start = shape.region(core if shape.apart else 0)
    lines = range(start, start + SHARED_LINES * shape.line_bytes, shape.line_bytes)
    for address in islice(cycle(lines), shape.accesses):
        _value = yield load(address)


def _queue(shape: Shape, core: int) -> Program:
    """Hand items through a ring of slots; its head and tail in one line or in two."""
    pair = shape.region(core // 2)
    head, tail = pair, pair + (shape.line_bytes if shape.apart else WORD_BYTES)
    slots = pair + 4 * shape.line_bytes
    items = -(-shape.accesses // 3)
    for item in range(items):
        slot = slots + item % SLOTS * WORD_BYTES
        if core % 2 == 0:
            while item - (yield load(tail)) >= SLOTS:
                _waited = yield work(LOOK_AGAIN_CYCLES)
            _item = yield store(slot, item + 1)
            _sent = yield store(head, item + 1)
        else:
            while (yield load(head)) <= item:
                _waited = yield work(LOOK_AGAIN_CYCLES)
            if (yield load(slot)) != item + 1:
                raise LawViolationError(f"item {item} was not there when its flag was")
            _taken = yield store(tail, item + 1)


def _turns(shape: Shape, core: int) -> Program:
    """Take turns at one word with the other core of the pair, or alone at one's own."""
    word = shape.region(core if shape.apart else core // 2)
    for turn in range(-(-shape.accesses // 2)):
        mine = turn if shape.apart else 2 * turn + core % 2
        while (yield load(word)) != mine:
            _waited = yield work(LOOK_AGAIN_CYCLES)
        _handed = yield store(word, mine + 1)


def _matmul(shape: Shape, core: int) -> Program:
    """Compute own columns of a product: inputs read by all, sums kept in memory, row by row."""
    inputs, weights, outputs = (shape.region(n) for n in range(3))
    own_bytes = MATMUL_COLUMNS * WORD_BYTES
    if shape.apart:
        own_bytes = -(-own_bytes // shape.line_bytes) * shape.line_bytes
    row_bytes = -(-shape.cores * own_bytes // shape.line_bytes) * shape.line_bytes
    step = MATMUL_DEPTH * (1 + 3 * MATMUL_COLUMNS)
    for row in range(-(-shape.accesses // step)):
        for k in range(MATMUL_DEPTH):
            _x = yield load(inputs + (row * MATMUL_DEPTH + k) * WORD_BYTES)
            for column in range(MATMUL_COLUMNS):
                at = core * own_bytes + column * WORD_BYTES
                _w = yield load(weights + k * row_bytes + at)
                y = yield load(outputs + row * row_bytes + at)
                _y = yield store(outputs + row * row_bytes + at, y + 1)


PATTERNS: Mapping[str, Pattern] = {
    "private": Pattern(
        summary="each core reads and writes a word in a line of its own",
        apart="",
        program=_private,
    ),
    "shared-read": Pattern(
        summary="all cores read one table",
        apart="a copy of the table for each core",
        program=_table,
    ),
    "true-sharing": Pattern(
        summary="all cores add to one counter",
        apart="a counter for each core in a line of its own",
        program=_counter,
    ),
    "false-sharing": Pattern(
        summary="each core reads and writes its own word of one line",
        apart="each core's word in a line of its own",
        program=_own_words,
    ),
    "producer-consumer": Pattern(
        summary="pairs hand items through a ring whose head and tail share a line",
        apart="head and tail in lines of their own",
        program=_queue,
        in_pairs=True,
    ),
    "ping-pong": Pattern(
        summary="pairs take turns at one word",
        apart="each core alone at a word of its own",
        program=_turns,
        in_pairs=True,
    ),
    "parallel-matmul": Pattern(
        summary="cores split the columns of a product, whose sums lie side by side",
        apart="each core's columns in lines of their own",
        program=_matmul,
    ),
}


def pattern_names() -> Sequence[str]:
    """Names of all patterns, in the order of their documentation."""
    return tuple(PATTERNS)
