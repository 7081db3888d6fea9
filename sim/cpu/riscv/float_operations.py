"""The floating-point instructions as a table: F and D, with singles boxed in NaNs.

Source: The RISC-V Instruction Set Manual, Volume I, version 20240411, chapters 20 and 21.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import copysign, isfinite, isinf

from sim.cpu.riscv import floats
from sim.cpu.riscv.floats import DOUBLE, SINGLE, Format, Rounding
from sim.cpu.riscv.integers import extend, signed, wrap
from sim.cpu.riscv.operation import Function, Kind, Operation

FLEN = 64
BOX = wrap(FLEN, -1 << 32)
"""Upper bits of a register that holds a single."""


def box(form: Format, pattern: int) -> int:
    """Put a pattern in a register."""
    return BOX | pattern if form is SINGLE else pattern


def unbox(form: Format, register: int) -> int:
    """Take a pattern from a register; what is no boxed single reads as the canonical NaN."""
    if form is DOUBLE:
        return register
    return register & ~BOX if register & BOX == BOX else SINGLE.canonical_nan


def _sign_from(form: Format, pick: Callable[[int, int], int]) -> Function:
    def sign_injection(_: int, a: int, b: int) -> int:
        first, second = unbox(form, a), unbox(form, b)
        return box(form, first & ~form.sign | pick(first, second) & form.sign)

    return sign_injection


def _extreme(form: Format, sign: int) -> Function:
    """Make `fmin` (sign 1) or `fmax` (sign -1): a number before a NaN, -0 below +0."""

    def extreme(_: int, a: int, b: int) -> int:
        first, second = unbox(form, a), unbox(form, b)
        if floats.is_nan(form, first):
            both = floats.is_nan(form, second)
            return box(form, form.canonical_nan if both else second)
        if floats.is_nan(form, second):
            return box(form, first)
        x, y = floats.value(form, first), floats.value(form, second)
        order = (sign * x, sign * copysign(1, x)) <= (sign * y, sign * copysign(1, y))
        return box(form, first if order else second)

    return extreme


def _classify(form: Format) -> Function:
    def classify(_: int, a: int) -> int:
        pattern = unbox(form, a)
        if floats.is_nan(form, pattern):
            quiet = pattern >> (form.fraction_bits - 1) & 1
            return 1 << (9 if quiet else 8)
        size = pattern & (form.sign - 1)
        if size == 0:
            rank = 0
        elif size < 1 << form.fraction_bits:
            rank = 1
        else:
            rank = 3 if size == form.infinity else 2
        return 1 << (3 - rank if pattern & form.sign else 4 + rank)

    return classify


def to_integer(form: Format, bits: int, *, unsigned: bool) -> Function:
    """Convert to an integer, clamped; a NaN becomes the largest."""
    least, most = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def convert(n: int, a: int, mode: Rounding) -> int:
        pattern = unbox(form, a)
        number = floats.value(form, pattern)
        if isfinite(number):
            whole = min(max(floats.to_integer(Fraction(number), mode), least), most)
        else:
            whole = least if isinf(number) and number < 0 else most
        return extend(n, bits, whole)

    return convert


def from_integer(form: Format, bits: int, *, unsigned: bool) -> Function:
    """Convert from an integer, rounded."""

    def convert(_: int, a: int, mode: Rounding) -> int:
        whole = wrap(bits, a) if unsigned else signed(bits, a)
        return box(form, floats.rounded(form, Fraction(whole), mode))

    return convert


def to_format(form: Format, other: Format) -> Function:
    """Convert from the other format, rounded."""

    def convert(_: int, a: int, mode: Rounding = Rounding.RNE) -> int:
        number = floats.value(other, unbox(other, a))
        if not isfinite(number):
            return box(form, floats.nearest(form, number))
        negative = copysign(1, number) < 0
        return box(form, floats.rounded(form, Fraction(number), mode, negative_zero=negative))

    return convert


def _with_values(form: Format, compute: Callable[..., int]) -> Function:
    """Make of a function on values one on registers that rounds."""

    def on_registers(_: int, *values: int) -> int:
        *registers, mode = values
        return box(form, compute(*(floats.value(form, unbox(form, r)) for r in registers), mode))

    return on_registers


def _compares(form: Format, holds: Callable[[float, float], bool]) -> Function:
    return lambda _, a, b: int(
        holds(floats.value(form, unbox(form, a)), floats.value(form, unbox(form, b)))
    )


def _arithmetic(form: Format, letter: str) -> dict[str, Operation]:
    def add(a: float, b: float, mode: Rounding) -> int:
        return floats.add(form, a, b, mode)

    def fused(sign: int, addend: int) -> Callable[..., int]:
        return lambda a, b, c, mode: floats.fused(form, sign * a, b, addend * c, mode)

    def rounding(kind: Kind, operands: str, compute: Callable[..., int]) -> Operation:
        return Operation(kind=kind, operands=operands, function=_with_values(form, compute))

    times, slow = Kind.FLOAT_MULTIPLY, Kind.FLOAT_DIVIDE
    return {
        f"fadd.{letter}": rounding(Kind.FLOAT, "DSSr", add),
        f"fsub.{letter}": rounding(Kind.FLOAT, "DSSr", lambda a, b, mode: add(a, -b, mode)),
        f"fmul.{letter}": rounding(times, "DSSr", lambda *a: floats.multiply(form, *a)),
        f"fdiv.{letter}": rounding(slow, "DSSr", lambda *a: floats.divide(form, *a)),
        f"fsqrt.{letter}": rounding(slow, "DSr", lambda *a: floats.square_root(form, *a)),
        f"fmadd.{letter}": rounding(times, "DSSSr", fused(1, 1)),
        f"fmsub.{letter}": rounding(times, "DSSSr", fused(1, -1)),
        f"fnmsub.{letter}": rounding(times, "DSSSr", fused(-1, 1)),
        f"fnmadd.{letter}": rounding(times, "DSSSr", fused(-1, -1)),
    }


def _others(form: Format, letter: str) -> dict[str, Operation]:
    def plain(operands: str, function: Function, *, only_rv64: bool = False) -> Operation:
        return Operation(kind=Kind.FLOAT, operands=operands, function=function, only_rv64=only_rv64)

    table = {
        f"fsgnj.{letter}": plain("DSS", _sign_from(form, lambda _, b: b)),
        f"fsgnjn.{letter}": plain("DSS", _sign_from(form, lambda _, b: ~b)),
        f"fsgnjx.{letter}": plain("DSS", _sign_from(form, lambda a, b: a ^ b)),
        f"fmin.{letter}": plain("DSS", _extreme(form, 1)),
        f"fmax.{letter}": plain("DSS", _extreme(form, -1)),
        f"feq.{letter}": plain("dSS", _compares(form, lambda a, b: a == b)),
        f"flt.{letter}": plain("dSS", _compares(form, lambda a, b: a < b)),
        f"fle.{letter}": plain("dSS", _compares(form, lambda a, b: a <= b)),
        f"fclass.{letter}": plain("dS", _classify(form)),
    }
    for name, bits in (("w", 32), ("l", 64)):
        for unsigned, suffix in ((False, ""), (True, "u")):
            wide = bits == 64
            to, of = f"fcvt.{name}{suffix}.{letter}", f"fcvt.{letter}.{name}{suffix}"
            table[to] = plain("dSr", to_integer(form, bits, unsigned=unsigned), only_rv64=wide)
            table[of] = plain("Dsr", from_integer(form, bits, unsigned=unsigned), only_rv64=wide)
    return table


def _moves(form: Format, name: str, load: str, store: str) -> dict[str, Operation]:
    bits, size, wide = form.bits, form.bits // 8, form is DOUBLE
    return {
        load: Operation(
            kind=Kind.LOAD, operands="Dm", function=lambda _, raw: box(form, raw), bytes=size
        ),
        store: Operation(
            kind=Kind.STORE, operands="Sm", function=lambda _, a: wrap(bits, a), bytes=size
        ),
        f"fmv.x.{name}": Operation(
            kind=Kind.FLOAT,
            operands="dS",
            function=lambda n, a: extend(n, bits, a),
            only_rv64=wide,
        ),
        f"fmv.{name}.x": Operation(
            kind=Kind.FLOAT,
            operands="Ds",
            function=lambda _, a: box(form, wrap(bits, a)),
            only_rv64=wide,
        ),
    }


FLOAT_OPERATIONS: Mapping[str, Operation] = {
    **_arithmetic(SINGLE, "s"),
    **_arithmetic(DOUBLE, "d"),
    **_others(SINGLE, "s"),
    **_others(DOUBLE, "d"),
    **_moves(SINGLE, "w", "flw", "fsw"),
    **_moves(DOUBLE, "d", "fld", "fsd"),
    "fcvt.s.d": Operation(kind=Kind.FLOAT, operands="DSr", function=to_format(SINGLE, DOUBLE)),
    "fcvt.d.s": Operation(kind=Kind.FLOAT, operands="DS", function=to_format(DOUBLE, SINGLE)),
}
