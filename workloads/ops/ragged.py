"""Batches of prompts that differ in length, padded at the front so that their ends are one column.

`padding` [B] says how many places before each prompt's first token hold nothing. Token t of prompt
b then has position start + t - padding[b]. Places of padding are computed like all others, as they
are on real machines; nothing reads what comes of them. Letters, costs and rules are those of
`workloads.ops`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import DTYPE_BYTES, Family

if TYPE_CHECKING:
    from workloads.tracer import Tracer

PADDING = "padding"
"""Declared for batches of ragged lengths: tokens before each prompt's first."""


def padding_of(tracer: Tracer) -> Array | None:
    """Return how many tokens stand before each prompt's first, where prompts differ in length."""
    return tracer.get(PADDING) if tracer.has(PADDING) else None


def positions_of(start: int, tokens: int, padding: Values) -> Values:
    """Position of each token [B, T], counted from its prompt's first; padding has position 0."""
    places = np.arange(start, start + tokens) - padding[:, None]  # [B, T]
    positions: Values = np.maximum(places, 0)
    return positions


def position_rows(table: Array, padding: Array, *, start: int, tokens: int, offset: int) -> Array:
    """Gather the learned row of each token's position: table [P, C], padding [B] -> [B, T, C].

    The first position's row is `offset`.
    """
    fits = len(table.shape) == 2 and len(padding.shape) == 1
    need(fits=fits, op="position_rows", rule="table is [P, C]", table=table, padding=padding)
    rows, cols = padding.size * tokens, table.shape[1]
    row_bytes = cols * DTYPE_BYTES[table.dtype]

    def compute(table: Values, padding: Values) -> Values:
        result: Values = table[positions_of(start, tokens, padding) + offset]  # [B, T, C]
        return result

    return table.tracer.record(
        kind="position_rows",
        family=Family.GATHER,
        name="embedding.position.rows",
        dims={"rows": rows, "cols": cols},
        flops=0,
        reads=((table, min(rows, table.shape[0]) * row_bytes, 0), padding),
        shape=(padding.size, tokens, cols),
        compute=compute,
    )
