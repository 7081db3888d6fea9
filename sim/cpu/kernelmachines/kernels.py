"""The kernels of one instruction set and width: packaged tiles cut to size, and passes.

A tile is a `.s` file of `kernelcores/kernels`; each line names the row and vector of C that it
serves, so that an edge of C is the same loop without the lines beyond it. A pass over elements is
generated, because its body depends on how many operands, flops and exponentials an element takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest

from sim.cpu.kernelcores import Kernel, packaged_text, parse_kernel
from sim.cpu.kernelmachines.dialect import DIALECTS, Dialect
from sim.cpu.kernelmachines.storage import (
    BFLOAT16,
    ELEMENT_BYTES,
    FLOAT32,
    NATIVE_BFLOAT16,
    narrowed_store,
    widened_load,
    with_stored,
)
from sim.cpu.passes import Visit

UNROLL = 4
"""Vectors that a pass takes at a time, so that one's latency hides behind the others' work."""
WRITTEN_BITS = 256
"""Width for which x86-64's kernels are written."""
WRITTEN_BYTES = WRITTEN_BITS // 8
WIDEST_BITS, LAST_REGISTER = 512, 31
"""AVX-512 has twice AVX2's registers, and its tiles use them."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A packaged product kernel: rows by vectors of C."""

    name: str
    rows: int
    vectors: int


TILES: Mapping[tuple[str, int], Tile] = {
    ("x86_64", 128): Tile("gemm_6x2", 6, 2),
    ("x86_64", 256): Tile("gemm_6x2", 6, 2),
    ("x86_64", 512): Tile("gemm_14x2", 14, 2),
    ("aarch64", 128): Tile("gemm_8x3", 8, 3),
    ("riscv64", 32): Tile("gemm_4x4", 4, 4),
}
"""By instruction set and bits of a register, for products of several rows."""
ROW_TILE = Tile("gemm_1x8", 1, 8)
"""For products of one row, in every instruction set."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """What all kernels of a machine have in common."""

    isa: str
    bits: int
    dtype: str = FLOAT32
    """Of numbers in memory; arithmetic on vectors is in float32."""
    extensions: frozenset[str] = frozenset()
    """What the core has beyond the instruction set's base, where it matters here."""

    @property
    def lanes(self) -> int:
        """Elements of float32 in a register."""
        return self.bits // 32

    @property
    def element_bytes(self) -> int:
        """Of a number in memory."""
        return ELEMENT_BYTES[self.dtype]

    @property
    def vector_bytes(self) -> int:
        """In memory, of the numbers that fill a register."""
        return self.lanes * self.element_bytes

    @property
    def dialect(self) -> Dialect:
        """How the instruction set writes what passes need."""
        return DIALECTS[self.isa]

    def load(self, register: int, base: str, offset: int) -> list[str]:
        """Load a vector of numbers as they are stored, as float32."""
        if self.dtype == FLOAT32:
            return [self.dialect.load(register, base, offset, self.bits)]
        return widened_load(self.isa, register, (base, offset), self.bits, self.dtype)

    def store(self, register: int, spare: int, base: str, offset: int) -> list[str]:
        """Store a vector of float32 as numbers are stored; `spare` is used up."""
        if self.dtype == FLOAT32:
            return [self.dialect.store(register, base, offset, self.bits)]
        native = self.dtype == BFLOAT16 and NATIVE_BFLOAT16 in self.extensions
        rounding = NATIVE_BFLOAT16 if native else self.dtype
        return narrowed_store(self.isa, (register, spare), (base, offset), self.bits, rounding)


def widened(text: str, flavour: Flavour) -> str:
    """Return an x86-64 text for another width: other registers, whole vectors scaled."""
    if flavour.isa != "x86_64" or flavour.bits == WRITTEN_BITS:
        return text
    letter = {128: "x", 512: "z"}[flavour.bits]

    def scaled(match: re.Match[str]) -> str:
        value = int(match[0])
        whole = value % WRITTEN_BYTES == 0
        return str(value * flavour.bits // WRITTEN_BITS) if whole else match[0]

    lines = []
    for line in text.splitlines():
        code, mark, comment = line.partition("#")
        code = re.sub(r"\bymm(?=\d)", f"{letter}mm", re.sub(r"\b\d+\b", scaled, code))
        lines.append(code + mark + comment)
    return "\n".join(lines)


@cache
def tile_kernel(
    tile: Tile, flavour: Flavour, rows: int, vectors: int, *, pairs: bool = False
) -> Kernel:
    """Return a tile's loop over k for the first `rows` and `vectors` of it.

    Of a 16-bit dtype the panel of B is widened as it is loaded, and A was before. `pairs`: both
    hold bfloat16, two steps of k beside each other, and a dot product takes the place of each
    multiply-add.
    """
    kept = []
    for line in packaged_text(flavour.isa, tile.name).splitlines():
        row, vector = (re.search(rf"\b{word} (\d+)", line) for word in ("row", "vector"))
        code = line.strip() and not line.startswith(("#", "//"))
        beyond = (row and int(row[1]) >= rows) or (vector and int(vector[1]) >= vectors)
        if code and not beyond:
            kept.append(line)
    text = widened("\n".join(kept), flavour)
    if pairs:
        text = text.replace("vfmadd231ps", "vdpbf16ps")
    elif flavour.dtype != FLOAT32:
        panel = flavour.dialect.reads[1]
        lines = with_stored(text.splitlines(), flavour.isa, panel, flavour.bits, flavour.dtype)
        text = "\n".join(lines)
    name = f"{flavour.isa}/{tile.name}.s, {rows} rows by {vectors} vectors"
    return parse_kernel(text, flavour.isa, name=name)


@cache
def tile_end(
    flavour: Flavour, rows: int, vectors: int, *, adds: bool, narrows: bool = False
) -> Kernel:
    """Return what stands around a tile's loop: C stored, accumulators cleared for the next tile.

    `adds`: a buffer of float32 holds the sum over earlier k, and is loaded and added to.
    `narrows`: this sum is the whole one, and is stored in the flavour's dtype.
    """
    lines: list[str] = []
    dialect, step = flavour.dialect, flavour.bits // 8
    base, spare = dialect.writes[0], LAST_REGISTER if flavour.bits == WIDEST_BITS else dialect.spare
    partial = dialect.writes[1] if narrows else base
    stored = flavour if narrows else replace(flavour, dtype=FLOAT32)
    for place in range(rows * vectors):
        if adds:
            lines.append(dialect.load(spare, partial, place * step, flavour.bits))
            lines.append(dialect.add(place, spare, flavour.bits))
        lines += stored.store(place, spare, base, place * stored.vector_bytes)
        lines.append(dialect.clear(place, flavour.bits))
    moved = {base: stored.vector_bytes} | ({partial: step} if adds else {})
    lines += [dialect.step(each, rows * vectors * size) for each, size in moved.items()]
    lines += dialect.close(base)
    return _generated("tile's end", lines, flavour)


@cache
def pass_kernel(visit: Visit, flavour: Flavour, *, unroll: int) -> Kernel:
    """Return a pass over elements, `unroll` vectors at a time.

    Models: dependent flops within an element, independent elements side by side; a
    transcendental as `exp.s`, 17 to 22 instructions.
    Ignores: which flop it is: a division costs as much as an addition, a square root or
    hyperbolic tangent as much as an exponential.
    Source: S. Moshier, Cephes Mathematical Library, single/expf.c; J.-M. Muller, Elementary
    Functions, chapter 11, for the range reduction.
    """
    dialect = flavour.dialect
    chains = [list(_element(visit, flavour, place)) for place in range(unroll)]
    lines = [line for step in zip_longest(*chains) for line in step if line is not None]
    bases = (*dialect.reads[: visit.reads], *dialect.writes[: visit.writes])
    lines += [dialect.step(base, unroll * flavour.vector_bytes) for base in bases]
    return _generated("pass", [*lines, *dialect.close(bases[0])], flavour)


@cache
def widen_kernel(flavour: Flavour, *, unroll: int) -> Kernel:
    """Return a pass that makes a buffer of float32 of stored numbers: A, before a product."""
    dialect = flavour.dialect
    (source, *_), (target, *_) = dialect.reads, dialect.writes
    lines: list[str] = []
    for place in range(unroll):
        lines += flavour.load(place, source, place * flavour.vector_bytes)
        offset = place * flavour.bits // 8
        lines.append(dialect.store(place, target, offset, flavour.bits))
    lines.append(dialect.step(source, unroll * flavour.vector_bytes))
    lines.append(dialect.step(target, unroll * flavour.bits // 8))
    return _generated("widening of A", [*lines, *dialect.close(source)], flavour)


@cache
def row_kernel(flavour: Flavour, *, reduces: bool, loads: int, stores: int) -> Kernel:
    """Return what a pass over a row costs beside its elements.

    That is a row's own loads and stores (words of 8 bytes), accumulators joined and cleared, and
    the branch to the next row.
    """
    dialect = flavour.dialect
    row = dialect.row
    lines = [dialect.load_word(row, 8 * number) for number in range(loads)]
    if reduces:
        totals = [4 * place + 3 for place in range(UNROLL)]
        first, second, third, fourth = totals
        lines += [
            dialect.add(first, second, flavour.bits),
            dialect.add(third, fourth, flavour.bits),
            dialect.add(first, third, flavour.bits),
            *dialect.across(first, flavour.bits),
            *(dialect.clear(total, flavour.bits) for total in totals),
        ]
    lines += [dialect.store_word(row, 8 * number) for number in range(stores)]
    return _generated("row's end", [*lines, dialect.step(row, 8), *dialect.close(row)], flavour)


def _generated(what: str, lines: list[str], flavour: Flavour) -> Kernel:
    text = "loop:\n" + "\n".join(lines)
    return parse_kernel(text, flavour.isa, name=f"a generated {what}")


def _element(visit: Visit, flavour: Flavour, place: int) -> Iterator[str]:
    """Yield one vector's instructions, in the registers of its place."""
    dialect, bits = flavour.dialect, flavour.bits
    value, spare, total = 4 * place, 4 * place + 1, 4 * place + 3
    offset, flops = place * flavour.vector_bytes, visit.flops
    for operand, base in enumerate(dialect.reads[: visit.reads]):
        yield from flavour.load(spare if operand else value, base, offset)
        if operand and flops:
            yield dialect.add(value, spare, bits)
            flops -= 1
    accumulates = visit.reduces and flops > 0
    for _ in range(flops - accumulates):
        yield dialect.add_constant(value, bits)
    for _ in range(visit.transcendentals):
        yield from _exponential(place, flavour)
    if accumulates:
        yield dialect.add(total, value, bits)
    for base in dialect.writes[: visit.writes]:
        yield from flavour.store(value, spare, base, offset)


def _exponential(place: int, flavour: Flavour) -> Iterator[str]:
    """Yield `exp.s` with its three registers moved to the place's."""
    dialect = flavour.dialect

    def moved(match: re.Match[str]) -> str:
        return f"{match[1]}{4 * place + int(match[2])}"

    for line in widened(packaged_text(flavour.isa, "exp"), flavour).splitlines():
        code = line.partition(dialect.comment)[0].strip()
        if code:
            code = re.sub(dialect.value_register, moved, code)
            if dialect.scratch:
                code = re.sub(rf"\b{dialect.scratch}\b", f"x{28 + place}", code)
            yield code
