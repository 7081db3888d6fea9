"""Binary floating point on bit patterns, correctly rounded in every rounding mode.

A value is exact as a Python float (doubles hold every single); what must be rounded goes through
one function on fractions, and the usual mode of the usual operations through the host's own
arithmetic, which rounds the same. Exception flags are not kept.
Source: IEEE 754-2019; The RISC-V Instruction Set Manual, Volume I, chapters F and D.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import copysign, inf, isfinite, isinf, isnan, isqrt, nan, sqrt


class Rounding(StrEnum):
    """Where a value that is none of the format's goes."""

    RNE = "rne"
    """To the nearest, ties to even."""
    RTZ = "rtz"
    """Towards zero."""
    RDN = "rdn"
    """Down."""
    RUP = "rup"
    """Up."""
    RMM = "rmm"
    """To the nearest, ties away from zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A binary interchange format."""

    bits: int
    fraction_bits: int
    code: str
    """Of `struct`, for the value."""
    integer_code: str
    """Of `struct`, for the pattern."""

    @property
    def exponent_bits(self) -> int:
        """Width of the biased exponent."""
        return self.bits - 1 - self.fraction_bits

    @property
    def least_exponent(self) -> int:
        """Of normal numbers; subnormal ones share it."""
        return 2 - (1 << (self.exponent_bits - 1))

    @property
    def infinity(self) -> int:
        """Pattern of plus infinity."""
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def canonical_nan(self) -> int:
        """The one NaN that arithmetic makes."""
        return self.infinity | 1 << (self.fraction_bits - 1)

    @property
    def sign(self) -> int:
        """Mask of the sign bit."""
        return 1 << (self.bits - 1)


SINGLE = Format(bits=32, fraction_bits=23, code="<f", integer_code="<I")
DOUBLE = Format(bits=64, fraction_bits=52, code="<d", integer_code="<Q")


def is_nan(form: Format, pattern: int) -> bool:
    """Whether a pattern is a NaN, quiet or signalling."""
    return pattern & (form.sign - 1) > form.infinity


def value(form: Format, pattern: int) -> float:
    """Return what a pattern stands for, exactly."""
    if is_nan(form, pattern):
        return nan
    return float(struct.unpack(form.code, struct.pack(form.integer_code, pattern))[0])


def nearest(form: Format, number: float) -> int:
    """Return the pattern nearest to a double, ties to even."""
    if isnan(number):
        return form.canonical_nan
    try:
        return int(struct.unpack(form.integer_code, struct.pack(form.code, number))[0])
    except OverflowError:
        return form.infinity | (form.sign if number < 0 else 0)


def rounded(form: Format, number: Fraction, mode: Rounding, *, negative_zero: bool = False) -> int:
    """Return the pattern of a number rounded once; `negative_zero` is the sign of an exact 0."""
    if number == 0:
        return form.sign if negative_zero else 0
    negative, size = number < 0, abs(number)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if Fraction(2) ** exponent > size:
        exponent -= 1
    exponent = max(exponent, form.least_exponent)
    units = to_integer(number / Fraction(2) ** (exponent - form.fraction_bits), mode)
    pattern = ((exponent - form.least_exponent) << form.fraction_bits) + abs(units)
    if pattern >= form.infinity:
        towards_zero = mode is Rounding.RTZ or mode is (Rounding.RUP if negative else Rounding.RDN)
        pattern = form.infinity - towards_zero
    return pattern | (form.sign if negative else 0)


def to_integer(number: Fraction, mode: Rounding) -> int:
    """Round a number to a whole one."""
    below = number.numerator // number.denominator
    rest = number - below
    if mode is Rounding.RDN or rest == 0:
        return below
    if mode is Rounding.RUP:
        return below + 1
    if mode is Rounding.RTZ:
        return below + (number < 0)
    half = Fraction(1, 2)
    if rest != half:
        return below + (rest > half)
    return below + (below % 2 if mode is Rounding.RNE else number > 0)


def add(form: Format, a: float, b: float, mode: Rounding) -> int:
    """Add; a zero of two that cancel is negative only when rounding down."""
    if mode is Rounding.RNE or not (isfinite(a) and isfinite(b)):
        return nearest(form, a + b)
    if a == b == 0 and copysign(1, a) == copysign(1, b):
        return nearest(form, a)
    return rounded(form, Fraction(a) + Fraction(b), mode, negative_zero=mode is Rounding.RDN)


def multiply(form: Format, a: float, b: float, mode: Rounding) -> int:
    """Multiply."""
    if not (isfinite(a) and isfinite(b)):
        return nearest(form, a * b)
    if form is DOUBLE and mode is Rounding.RNE:
        return nearest(form, a * b)
    return rounded(form, Fraction(a) * Fraction(b), mode, negative_zero=_differ(a, b))


def divide(form: Format, a: float, b: float, mode: Rounding) -> int:
    """Divide; by zero gives an infinity, zero by zero a NaN."""
    if isnan(a) or isnan(b) or (isinf(a) and isinf(b)) or a == b == 0:
        return form.canonical_nan
    if isinf(a) or b == 0:
        return nearest(form, copysign(inf, -1 if _differ(a, b) else 1))
    if isinf(b):
        return nearest(form, copysign(0, -1 if _differ(a, b) else 1))
    return rounded(form, Fraction(a) / Fraction(b), mode, negative_zero=_differ(a, b))


def fused(form: Format, a: float, b: float, c: float, mode: Rounding) -> int:
    """Multiply and add, rounded once."""
    if not (isfinite(a) and isfinite(b)):
        return nearest(form, a * b + c)
    if not isfinite(c):
        return nearest(form, c)
    product, minus = Fraction(a) * Fraction(b), _differ(a, b)
    if product == 0 and c == 0 and minus == (copysign(1, c) < 0):
        return form.sign if minus else 0
    return rounded(form, product + Fraction(c), mode, negative_zero=mode is Rounding.RDN)


def square_root(form: Format, a: float, mode: Rounding) -> int:
    """Take the square root; of a negative number a NaN."""
    if isnan(a) or a < 0:
        return form.canonical_nan
    if a == 0 or isinf(a) or mode is Rounding.RNE:
        return nearest(form, sqrt(a))
    exact = Fraction(a)
    scale = 2 * (form.bits * 2 + exact.denominator.bit_length())
    scaled = (exact.numerator << scale) // exact.denominator  # whole: scale exceeds its bits
    root = isqrt(scaled)
    # A root that is not whole lies strictly between; half a unit keeps it off every tie.
    between = Fraction(1, 2) if root * root != scaled else Fraction(0)
    return rounded(form, (root + between) / Fraction(2) ** (scale // 2), mode)


def _differ(a: float, b: float) -> bool:
    return copysign(1, a) != copysign(1, b)
