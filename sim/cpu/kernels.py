"""Kernels: matrix tiles from the `.s` files beside, and passes over rows, written to measure.

A pass is generated because its body depends on the operation: how many operands it reads, how many
flops and transcendentals each element takes. Elements are taken four at a time where there are
enough, so that one's latency hides behind the others' work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import zip_longest

from sim.cpu.isa import Instruction, Kind, parse
from sim.cpu.passes import Visit

UNROLL = 4
"""Elements, or vectors of them, that a pass takes at a time."""
A0, S2 = 10, 18
READ_BASES = (*range(A0, A0 + 4), *range(S2, S2 + 2))
WRITE_BASES = (*range(A0 + 4, A0 + 6), *range(S2 + 2, S2 + 5))
"""Registers of the operands that a pass can stream: a0 to a3, then s2 and s3; a4 and a5, then s4
to s6 (an optimiser's step reads and writes a weight with all that is kept of it)."""
ROW_BASE = A0 + 6
"""a6 walks what a row reads or writes once."""
A_BASE, B_BASE, C_BASE = A0, A0 + 1, A0 + 3
"""In the matrix kernels."""

STORAGE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Element types that the kernels load and store; arithmetic is in float32."""
CONVERSIONS: Mapping[tuple[str, bool], tuple[str, str]] = {
    ("float16", False): ("fcvt.s.h", "fcvt.h.s"),
    ("float16", True): ("vfwcvt.f.f.v", "vfncvt.f.f.w"),
    ("bfloat16", False): ("fcvt.s.bf16", "fcvt.bf16.s"),
    ("bfloat16", True): ("vfwcvtbf16.f.f.v", "vfncvtbf16.f.f.w"),
}
"""By type and vector or not: the instruction after a load, and before a store."""

Body = tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Flavour:
    """What all kernels of one core and element type have in common."""

    dtype: str
    lanes: int

    @property
    def element_bytes(self) -> int:
        """Bytes of an element in memory."""
        return STORAGE_BYTES[self.dtype]

    def parse(self, text: str, where: str) -> dict[str, Body]:
        """Parse a text for this element type and vector length, conversions put in."""
        symbols = {"ELEMENT": self.element_bytes, "VECTOR": self.lanes * self.element_bytes}
        sections = parse(text, symbols=symbols, lanes=self.lanes, where=where)
        return {name: tuple(self._stored(body)) for name, body in sections.items()}

    def _stored(self, body: Body) -> Iterator[Instruction]:
        """Replace float32 loads and stores by those of the element type."""
        for instruction in body:
            moves_float = instruction.mnemonic in ("flw", "fsw", "vle32.v", "vse32.v")
            if not moves_float or self.dtype == "float32":
                yield instruction
                continue
            vector = instruction.mnemonic.startswith("v")
            widen, narrow = CONVERSIONS[self.dtype, vector]
            half = instruction.mnemonic.replace("32", "16").replace("w", "h")
            moved = replace(instruction, mnemonic=half, bytes=instruction.bytes // 2)
            if instruction.kind is Kind.LOAD:
                register = instruction.dest
                yield moved
                yield _conversion(widen, register)
            else:
                yield _conversion(narrow, instruction.sources[0])
                yield moved


def _conversion(mnemonic: str, register: int | None) -> Instruction:
    sources = () if register is None else (register,)
    return Instruction(mnemonic=mnemonic, kind=Kind.FP, dest=register, sources=sources)


@cache
def read_text(name: str) -> str:
    """Return a kernel's assembly text."""
    return files("sim.cpu").joinpath(f"kernels/{name}.s").read_text(encoding="utf-8")


@cache
def matrix_kernel(name: str, flavour: Flavour) -> Mapping[str, Body]:
    """Return a matrix kernel's `prologue`, `loop` (over k) and `epilogue`."""
    return flavour.parse(read_text(name), f"kernels/{name}.s")


@cache
def pass_body(visit: Visit, flavour: Flavour, *, unroll: int) -> Body:
    """Return the loop body of a pass over elements, `unroll` (times lanes) at a time.

    Models: dependent flops within an element, independent elements side by side; a
    transcendental as Cephes' expf, 17 instructions (18 on vectors).
    Ignores: which flop it is: a division costs as much as an addition, a square root or
    hyperbolic tangent as much as an exponential.
    Source: S. Moshier, Cephes Mathematical Library, single/expf.c; J.-M. Muller, Elementary
    Functions, chapter 11, for the range reduction.
    """
    chains = [list(_element(visit, flavour, place)) for place in range(unroll)]
    lines = [line for step in zip_longest(*chains) for line in step if line is not None]
    if flavour.lanes == 1:
        bases = (*READ_BASES[: visit.reads], *WRITE_BASES[: visit.writes])
        lines += [f"addi x{base}, x{base}, {unroll}*ELEMENT" for base in bases]
    lines.append("bne a0, a7, loop")
    return flavour.parse("\n".join(lines), "a generated pass")[""]


def row_start(rewound: Sequence[int], accumulators: int, loads: int, flavour: Flavour) -> Body:
    """Return what stands before a pass: pointers set, accumulators cleared, a row's own loads."""
    lines = [f"mv x{base}, s0" for base in rewound]
    lines += [_cleared(4 * place + 3, flavour) for place in range(accumulators)]
    for _ in range(loads):
        lines += [f"lw t0, 0(x{ROW_BASE})", f"addi x{ROW_BASE}, x{ROW_BASE}, 4"]
    return flavour.parse("\n".join(lines), "a generated row start")[""]


def row_end(accumulators: int, stores: int, flavour: Flavour) -> Body:
    """Return what stands after a pass: accumulators joined, a row's own stores, the next row."""
    lines = []
    width = accumulators
    while width > 1:  # pairwise, as a tree
        width //= 2
        lines += [_add(4 * i + 3, 4 * (i + width) + 3, flavour) for i in range(width)]
    if accumulators and flavour.lanes > 1:  # then across the lanes, by halves
        lines += [_add(3, 3, flavour)] * (flavour.lanes - 1).bit_length()
    for _ in range(stores):
        lines += [f"sw t0, 0(x{WRITE_BASES[0]})", f"addi x{WRITE_BASES[0]}, x{WRITE_BASES[0]}, 4"]
    lines.append("bne a0, a7, row")
    return flavour.parse("\n".join(lines), "a generated row end")[""]


def _element(visit: Visit, flavour: Flavour, place: int) -> Iterator[str]:
    """Yield one element's instructions, in the registers of its place."""
    value, spare, total = 4 * place, 4 * place + 1, 4 * place + 3
    flops = visit.flops
    for operand, base in enumerate(READ_BASES[: visit.reads]):
        yield from _load(spare if operand else value, base, place, flavour)
        if operand and flops:
            yield _add(value, spare, flavour)
            flops -= 1
    accumulates = visit.reduces and flops > 0
    for _ in range(flops - accumulates):
        yield _add(value, 26, flavour)  # with a constant
    for _ in range(visit.transcendentals):
        yield from _exponential(place, flavour)
    if accumulates:
        yield _add(total, value, flavour)
    for base in WRITE_BASES[: visit.writes]:
        yield from _store(value, base, place, flavour)


def _load(register: int, base: int, place: int, flavour: Flavour) -> Iterator[str]:
    if flavour.lanes == 1:
        yield f"flw f{register}, {place}*ELEMENT(x{base})"
    else:
        yield f"vle32.v v{register}, (x{base})\naddi x{base}, x{base}, VECTOR"


def _store(register: int, base: int, place: int, flavour: Flavour) -> Iterator[str]:
    if flavour.lanes == 1:
        yield f"fsw f{register}, {place}*ELEMENT(x{base})"
    else:
        yield f"vse32.v v{register}, (x{base})\naddi x{base}, x{base}, VECTOR"


def _add(register: int, other: int, flavour: Flavour) -> str:
    if flavour.lanes == 1:
        return f"fadd.s f{register}, f{register}, f{other}"
    return f"vfadd.vv v{register}, v{register}, v{other}"


def _cleared(register: int, flavour: Flavour) -> str:
    return f"fmv.w.x f{register}, zero" if flavour.lanes == 1 else f"vmv.v.i v{register}, 0"


def _exponential(place: int, flavour: Flavour) -> Iterator[str]:
    """Yield the kernel's lines with its value and scratch registers moved to the place's."""
    bank = "f" if flavour.lanes == 1 else "v"
    moved = {f"{bank}{i}": f"{bank}{4 * place + i}" for i in range(3)} | {"x28": f"x{28 + place}"}
    for raw in read_text("exp" if flavour.lanes == 1 else "exp_vector").splitlines():
        line = raw.split("#")[0].strip()
        if line and not line.endswith(":"):
            mnemonic, operands = line.split(maxsplit=1)
            registers = (part.strip() for part in operands.split(","))
            yield f"{mnemonic} {', '.join(moved.get(r, r) for r in registers)}"
