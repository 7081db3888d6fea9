"""What one element becomes: functions of patterns of a width, built on the scalar instructions.

Each takes the width in bits, the elements of vs2 and vs1 (or the scalar), and the old destination.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 11, 13 and 15.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sim.cpu.riscv.float_operations import (
    FLOAT_OPERATIONS,
    box,
    from_integer,
    to_format,
    to_integer,
)
from sim.cpu.riscv.floats import DOUBLE, SINGLE, Format, Rounding
from sim.cpu.riscv.integers import (
    ARITHMETIC,
    ATOMICS,
    DIVISION,
    MULTIPLICATION,
    signed,
    wrap,
)
from sim.cpu.riscv.operation import Function

Element = Callable[[int, int, int, int], int]
Comparison = Callable[[int, int, int], bool]

_REGISTER_BITS = 64


def format_of(bits: int) -> Format:
    """Return the floating-point format of a width."""
    return SINGLE if bits == SINGLE.bits else DOUBLE


def _two(function: Function) -> Element:
    return lambda bits, a, b, _: function(bits, a, b)


def _scalar(name: str, bits: int, *patterns: int) -> int:
    """Compute as the scalar floating-point instruction does, on elements instead of registers."""
    form = format_of(bits)
    operation = FLOAT_OPERATIONS[f"{name}.{'s' if form is SINGLE else 'd'}"]
    registers: list[object] = [box(form, pattern) for pattern in patterns]
    if operation.rounds:
        registers.append(Rounding.RNE)
    return wrap(bits, operation.function(_REGISTER_BITS, *registers))


def _float(name: str) -> Element:
    return lambda bits, a, b, _: _scalar(name, bits, a, b)


def _fused(name: str) -> Element:
    return lambda bits, a, b, d: _scalar(name, bits, b, a, d)


def _fused_over(name: str) -> Element:
    """Multiply by the old destination and add vs2."""
    return lambda bits, a, b, d: _scalar(name, bits, b, d, a)


ELEMENTS: Mapping[str, Element] = {
    "first": lambda _, a, b, d: a,  # noqa: ARG005 - a move has one operand
    "second": lambda _, a, b, d: b,  # noqa: ARG005 - as above
    **{name: _two(f) for name, f in {**ARITHMETIC, **MULTIPLICATION, **DIVISION}.items()},
    **{name: _two(ATOMICS[name]) for name in ("min", "max", "minu", "maxu")},
    "rsub": lambda n, a, b, _: wrap(n, b - a),
    "macc": lambda n, a, b, d: wrap(n, a * b + d),
    "nmsac": lambda n, a, b, d: wrap(n, d - a * b),
    "madd": lambda n, a, b, d: wrap(n, b * d + a),
    "nmsub": lambda n, a, b, d: wrap(n, a - b * d),
    **{name: _float(name) for name in ("fadd", "fsub", "fmul", "fdiv", "fmin", "fmax")},
    **{name: _float(name) for name in ("fsgnj", "fsgnjn", "fsgnjx")},
    "frsub": lambda n, a, b, _: _scalar("fsub", n, b, a),
    "frdiv": lambda n, a, b, _: _scalar("fdiv", n, b, a),
    "fsqrt": lambda n, a, b, d: _scalar("fsqrt", n, a),  # noqa: ARG005 - one operand
    "fclass": lambda n, a, b, d: _scalar("fclass", n, a),  # noqa: ARG005 - one operand
    "fmacc": _fused("fmadd"),
    "fnmacc": _fused("fnmadd"),
    "fmsac": _fused("fmsub"),
    "fnmsac": _fused("fnmsub"),
    "fmadd": _fused_over("fmadd"),
    "fnmadd": _fused_over("fnmadd"),
    "fmsub": _fused_over("fmsub"),
    "fnmsub": _fused_over("fnmsub"),
}

COMPARISONS: Mapping[str, Comparison] = {
    "eq": lambda _, a, b: a == b,
    "ne": lambda _, a, b: a != b,
    "ltu": lambda _, a, b: a < b,
    "leu": lambda _, a, b: a <= b,
    "gtu": lambda _, a, b: a > b,
    "lt": lambda n, a, b: signed(n, a) < signed(n, b),
    "le": lambda n, a, b: signed(n, a) <= signed(n, b),
    "gt": lambda n, a, b: signed(n, a) > signed(n, b),
    "feq": lambda n, a, b: bool(_scalar("feq", n, a, b)),
    "fne": lambda n, a, b: not _scalar("feq", n, a, b),
    "flt": lambda n, a, b: bool(_scalar("flt", n, a, b)),
    "fle": lambda n, a, b: bool(_scalar("fle", n, a, b)),
    "fgt": lambda n, a, b: bool(_scalar("flt", n, b, a)),
    "fge": lambda n, a, b: bool(_scalar("fle", n, b, a)),
}

MASK_LOGIC: Mapping[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "nand": lambda a, b: 1 - (a & b),
    "andn": lambda a, b: a & (1 - b),
    "xor": lambda a, b: a ^ b,
    "or": lambda a, b: a | b,
    "nor": lambda a, b: 1 - (a | b),
    "orn": lambda a, b: a | (1 - b),
    "xnor": lambda a, b: 1 - (a ^ b),
}
"""Of one bit each."""


def converted(does: str, to_bits: int, of_bits: int, pattern: int) -> int:
    """Convert an element; `does` is a mnemonic's middle: `x.f`, `rtz.xu.f`, `f.x`, `f.f`."""
    *towards, to, of = does.split(".")
    mode = Rounding.RTZ if towards else Rounding.RNE
    if to == of:
        function = to_format(format_of(to_bits), format_of(of_bits))
    elif of == "f":
        function = to_integer(format_of(of_bits), to_bits, unsigned=to == "xu")
    else:
        function = from_integer(format_of(to_bits), of_bits, unsigned=of == "xu")
    operand = box(format_of(of_bits), pattern) if of == "f" else pattern
    return wrap(to_bits, function(_REGISTER_BITS, operand, mode))


def widened(bits: int, to_bits: int, pattern: int, *, floating: bool, sign: bool) -> int:
    """Return an element at a wider width: exact for floating point, else extended."""
    if to_bits <= bits:
        return pattern
    if floating:
        return converted("f.f", to_bits, bits, pattern)
    return wrap(to_bits, signed(bits, pattern)) if sign else pattern
