"""How ggml encodes numbers: as they are, or in blocks that share a scale (and an offset).

A block of Q8_0, Q4_0 and Q4_1 holds 32 neighbours of a row. Four-bit numbers lie two a byte: the
low halves of the 16 bytes are elements 0 to 15, the high halves 16 to 31.

Source: the structures block_q4_0, block_q4_1 and block_q8_0 of the project ggml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from workloads.array import Values

BLOCK = 32


class Encoding(NamedTuple):
    """One way to store numbers."""

    name: str
    block: int
    """Numbers of a block."""
    block_bytes: int
    decode: Callable[[Values], Values]
    """Blocks [n, block_bytes] of uint8 -> float32 numbers [n, block]."""


def _float32(blocks: Values) -> Values:
    values: Values = blocks.view("<f4").astype(np.float32)
    return values


def _float16(blocks: Values) -> Values:
    values: Values = blocks.view("<f2").astype(np.float32)
    return values


def _q8_0(blocks: Values) -> Values:
    """Scale (float16), then 32 signed bytes: x = d * q."""
    scale = _float16(blocks[:, :2].copy())  # [n, 1]
    values: Values = blocks[:, 2:].view(np.int8) * scale  # [n, 32]
    return values


def _q4_0(blocks: Values) -> Values:
    """Scale (float16), then 32 halves of bytes: x = d * (q - 8)."""
    scale = _float16(blocks[:, :2].copy())  # [n, 1]
    values: Values = (_halves(blocks[:, 2:]) - np.float32(8)) * scale  # [n, 32]
    return values


def _q4_1(blocks: Values) -> Values:
    """Scale and minimum (float16 each), then 32 halves of bytes: x = d * q + m."""
    scale = _float16(blocks[:, :2].copy())  # [n, 1]
    least = _float16(blocks[:, 2:4].copy())  # [n, 1]
    values = _halves(blocks[:, 4:]) * scale  # [n, 32]
    values += least
    return values


def _halves(packed: Values) -> Values:
    """Sixteen bytes [n, 16] -> the numbers 0 to 15 of their low, then of their high halves."""
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)  # [n, 32]


ENCODINGS: Mapping[int, Encoding] = {
    0: Encoding("F32", 1, 4, _float32),
    1: Encoding("F16", 1, 2, _float16),
    2: Encoding("Q4_0", BLOCK, 18, _q4_0),
    3: Encoding("Q4_1", BLOCK, 20, _q4_1),
    8: Encoding("Q8_0", BLOCK, 34, _q8_0),
}
"""ggml's number of a type -> how to decode it."""
