"""Attention tiled on chip: scores are made, weighted and used up block by block of their rows.

Three operations in a row, a product, a row-wise operation on its result, and a product of that,
are compiled as one loop over blocks of whole rows if the two tensors between them are too large to
stay in the scratchpad. A block's scores and weights then live in the scratchpad and never see main
memory; the price is that the stationary operands are loaded into the arrays for every block.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from workloads.trace import TRAINING, Family, Op, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """How one operation takes part in a tiled chain."""

    inner: frozenset[int]
    """Its tensors that stay on chip, block by block."""
    blocks: int
    """Blocks of rows for each product of the batch."""


class AttentionTiling:
    """The tiled chains of a trace.

    Models: blocks of whole rows, as many as half the room for activations asks for.
    Ignores: blocks of columns with a running maximum and sum (flash attention), which would
    not need whole rows; positions that a causal mask leaves out; tiling in training, where the
    backward pass would make the weights again.
    Source: Rabe and Staats, Self-attention Does Not Need O(n^2) Memory, arXiv 2112.05682, 2021
    (attention on a TPU in chunks of queries).
    """

    def __init__(self, trace: Trace, activation_bytes: int) -> None:
        self._tiles: dict[Hashable, Tile] = {}
        for block in trace.blocks:
            for chain in _chains(block.ops):
                self._add(chain, activation_bytes)

    def of(self, op: Op) -> Tile | None:
        """Return how an operation is tiled; None where it is not."""
        return self._tiles.get(_key(op))

    def _add(self, chain: Sequence[Op], room: int) -> None:
        first, between, _ = chain
        if first.phase in TRAINING:
            return  # the backward pass reads the weights again, so they are written out
        scores, weights = first.writes[0], between.writes[0]
        inner = scores.bytes + weights.bytes
        rows = first.dims["batch"] * first.dims["m"]
        if max(scores.bytes, weights.bytes) <= room or 2 * inner > room * rows:
            return  # stays as it is, or not even one row of each would fit
        rows_at_once = room * rows // (2 * inner)
        blocks = -(-first.dims["m"] // min(rows_at_once, first.dims["m"]))
        tile = Tile(inner=frozenset((scores.tensor, weights.tensor)), blocks=blocks)
        self._tiles.update((_key(op), tile) for op in chain)


def _key(op: Op) -> Hashable:
    return op.name, op.shape_key


def _chains(ops: Sequence[Op]) -> Iterator[Sequence[Op]]:
    """Yield each three operations of which each works on the result of the one before."""
    families = (Family.MATMUL, Family.ROWWISE, Family.MATMUL)
    for start in range(len(ops) - 2):
        chain = ops[start : start + 3]
        if tuple(op.family for op in chain) == families and all(
            after.reads[0].tensor == before.writes[0].tensor for before, after in pairwise(chain)
        ):
            yield chain
