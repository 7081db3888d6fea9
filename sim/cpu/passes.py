"""What every CPU's lowering says alike of an operation: its rows, its passes, the cores' shares.

Anything but a matrix product goes over rows, pass by pass. Each pass visits every element; what a
visit does is a number of loads, flops, transcendentals and stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from workloads.trace import Family, Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What happens to each element when a pass comes by."""

    reads: int
    """Operands loaded."""
    flops: int
    transcendentals: int
    writes: int
    """Results stored."""
    reduces: bool
    """Whether the last flop adds to an accumulator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """A row of an operation, in counts.

    The first operand is walked in every pass; the others in the last, where results are stored.
    """

    cols: int
    passes: int
    flops: int
    """Of the row, rounded up."""
    transcendentals: int
    reads: int
    """Operands walked element by element."""
    writes: int
    """Results stored element by element."""

    def visits(self, number: int, *, reduces: bool) -> Iterator[tuple[int, Visit]]:
        """Yield (elements, what happens to each) of a pass, so that flops add up exactly.

        Flops are spread evenly over the row's visits; the first ones take what is left over.
        """
        total = self.cols * self.passes
        flops, more_flops = divmod(self.flops, total)
        exps, more_exps = divmod(self.transcendentals, total)
        begin, end = number * self.cols, (number + 1) * self.cols
        last = number == self.passes - 1
        cuts = sorted({begin, end, *(c for c in (more_flops, more_exps) if begin < c < end)})
        for start, stop in pairwise(cuts):
            yield (
                stop - start,
                Visit(
                    reads=self.reads if last else 1,
                    flops=flops + (start < more_flops),
                    transcendentals=exps + (start < more_exps),
                    writes=self.writes if last else 0,
                    reduces=reduces,
                ),
            )


def row_extents(op: Op, element_bytes: int) -> tuple[int, int, int]:
    """Return rows, columns and passes; an operand repeated under a batch makes the rows."""
    if op.family in (Family.ROWWISE, Family.GATHER):
        return op.dims["rows"], op.dims["cols"], op.dims.get("passes", 1)
    elements = op.dims["elements"]
    shortest = min((access.bytes // element_bytes for access in op.reads), default=elements)
    if 0 < shortest < elements and elements % shortest == 0:
        return elements // shortest, shortest, 1
    return 1, elements, 1


def deal(extent: int, unit: int, cores: int) -> tuple[int, ...]:
    """Deal `extent` out in whole units, the last one perhaps short; largest parts first."""
    units = -(-extent // unit)
    used = min(units, cores)
    parts = [unit * (units // used + (core < units % used)) for core in range(used)]
    parts[-1] -= units * unit - extent
    return tuple(parts)


def spread(along: str, shares: int) -> str:
    """Say over how many cores what was dealt out; nothing for one."""
    return f", {along} over {shares} cores" if shares > 1 else ""
