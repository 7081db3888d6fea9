"""Numbers as people read them: three significant digits, SI prefixes, and always a unit."""

from __future__ import annotations

from math import floor, isfinite, log10

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_EXACT_FROM = 100


def si(value: float, unit: str) -> str:
    """Return `value` of a base unit with an SI prefix, such as `2.04 TB/s`."""
    if value == 0 or not isfinite(value):
        return f"{'0' if value == 0 else '∞'} {unit}"
    exponent = 3 * floor(log10(float(f"{abs(value):.2e}")) / 3)
    exponent = min(max(exponent, min(_PREFIXES)), max(_PREFIXES))
    return f"{significant(value / 10.0**exponent)} {_PREFIXES[exponent]}{unit}"


def significant(value: float) -> str:
    """Return three significant digits, all digits before the point: `0.0123`, `4.57`, `12,346`."""
    if not isfinite(value):
        return "∞"
    if abs(value) >= _EXACT_FROM or value == 0:
        return f"{value:,.0f}"
    return f"{value:.{2 - floor(log10(float(f'{abs(value):.2e}')))}f}"


def binary_bytes(value: int) -> str:
    """Return a capacity with a binary prefix, such as `40 MiB`; `80 GB` where it is decimal."""
    if value and value % 10**9 == 0:
        return si(value, "B")
    scaled = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if scaled < 1024:
            return f"{scaled:.4g} {unit}"
        scaled /= 1024
    return f"{scaled:.4g} TiB"


def percent(share: float) -> str:
    """Return a share of one as a whole percentage; what rounds to nothing says so."""
    if 0 < share < 0.005:
        return "<1 %"
    return f"{share * 100:.0f} %"


def times(ratio: float) -> str:
    """Return how many times as fast, such as `1.08x`, `3.4x` or `340x`."""
    if ratio < 2:
        return f"{ratio:.2f}x"
    return f"{ratio:.2g}x" if ratio < 10 else f"{significant(ratio)}x"
