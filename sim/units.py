"""Quantities as people write them in YAML, turned once into base units.

`40 MiB`, `1.41 GHz`, `2039 GB/s` and `2.4 us` become whole bytes, hertz, bytes per second and
ticks (femtoseconds). A wrong dimension, or a number without its unit, is an error.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator

from sim.clock import TICKS_PER_SECOND

_BYTES = {
    "B": 1,
    **{f"{p}B": 1000**i for i, p in enumerate(("k", "M", "G", "T"), start=1)},
    **{f"{p}iB": 1024**i for i, p in enumerate(("K", "M", "G", "T"), start=1)},
}
_UNITS: dict[str, dict[str, Fraction | int]] = {
    "bytes": _BYTES,
    "frequency": {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9},
    "bandwidth": {f"{unit}/s": scale for unit, scale in _BYTES.items()},
    "time": {
        f"{p}s": Fraction(TICKS_PER_SECOND, 1000**i) for i, p in enumerate(("", "m", "u", "n", "p"))
    },
}
_QUANTITY = re.compile(r"^([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z/]+)$")


def parse_quantity(text: Any, dimension: str) -> int:
    """Return `text`, such as `40 MiB`, as a whole number of the dimension's base unit.

    Raises ValueError that names the expected dimension and its units.
    """
    units = _UNITS[dimension]
    match = _QUANTITY.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"'{text}' is not a {dimension}; write a number and one of {_list(units)}")
    number, unit = match.groups()
    if unit not in units:
        raise ValueError(f"'{text}' is not a {dimension}: its unit must be one of {_list(units)}")
    value = Fraction(number.replace("_", "")) * units[unit]
    if value.denominator != 1:
        raise ValueError(f"'{text}' is finer than this simulator counts {dimension}")
    return int(value)


def _list(units: dict[str, Fraction | int]) -> str:
    return ", ".join(units)


def _quantity(dimension: str) -> BeforeValidator:
    return BeforeValidator(
        lambda raw: raw if type(raw) is _Parsed else _Parsed(parse_quantity(raw, dimension))
    )


class _Parsed(int):
    """A whole number that came out of `parse_quantity`, so that copies are not parsed again."""


Bytes = Annotated[int, _quantity("bytes")]
Hertz = Annotated[int, _quantity("frequency")]
BytesPerSecond = Annotated[int, _quantity("bandwidth")]
Ticks = Annotated[int, _quantity("time")]
