"""The mix of a trace: what it counts, by phase, by kind of operation, and layer by layer.

Bytes are what the operations name, before any cache: each operation counts its own. Arithmetic
intensity is flops over those bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

from workloads.trace import Op, Phase, Trace

Rows = list[dict[str, Any]]
_KindKey = tuple[str, str]
"""Kind and family of an operation."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What some operations count together."""

    count: int = 0
    flops: int = 0
    transcendentals: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: int) -> Amounts:
        return Amounts(*(times * amount for amount in astuple(self)))

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written

    @property
    def flops_per_byte(self) -> float:
        """Arithmetic intensity; 0 where nothing is touched."""
        return self.flops / self.bytes if self.bytes else 0.0


def mix_rows(trace: Trace) -> Rows:
    """Return one mapping a phase and kind, most flops first, with its shares of the whole trace."""
    sums = _sums(trace, lambda op: (op.phase, op.kind, str(op.family)))
    total = sum(sums.values(), Amounts())
    rows = [
        {"phase": str(phase), "kind": kind, "family": family, **_columns(amounts, total)}
        for (phase, kind, family), amounts in sums.items()
    ]
    return sorted(rows, key=lambda row: (_order(Phase(row["phase"])), -row["flops"]))


def phase_rows(trace: Trace) -> Rows:
    """Return one mapping a phase, then one of the whole trace, whose phase is `all`."""
    sums = _sums(trace, lambda op: (op.phase,))
    total = sum(sums.values(), Amounts())
    phases = sorted(sums, key=lambda key: _order(key[0]))
    rows = [{"phase": str(key[0]), **_columns(sums[key], total)} for key in phases]
    return [*rows, {"phase": "all", **_columns(total, total)}]


def layer_rows(trace: Trace) -> Rows:
    """Return one mapping a phase, run of equal layers and kind: amounts of all those layers.

    `first_layer` and `last_layer` are None for what lies outside the layers. All rows together
    are the whole trace; of `layers` equal layers each has one `layers`-th.
    """
    total = sum(_sums(trace, lambda _: ()).values(), Amounts())
    return [
        {
            "phase": str(phase),
            "first_layer": first,
            "last_layer": last,
            "layers": count,
            "kind": kind,
            "family": family,
            **_columns(amounts * count, total),
        }
        for phase, first, last, kinds in _equal_layers(trace)
        for count in (1 if first is None or last is None else last - first + 1,)
        for (kind, family), amounts in kinds.items()
    ]


def layer_totals(trace: Trace) -> Rows:
    """Return as `layer_rows`, but all kinds of a run of layers together."""
    total = sum(_sums(trace, lambda _: ()).values(), Amounts())
    return [
        {
            "phase": str(phase),
            "first_layer": first,
            "last_layer": last,
            "layers": count,
            **_columns(sum(kinds.values(), Amounts()) * count, total),
        }
        for phase, first, last, kinds in _equal_layers(trace)
        for count in (1 if first is None or last is None else last - first + 1,)
    ]


def _order(phase: Phase) -> int:
    return list(Phase).index(phase)


def _amounts(op: Op) -> Amounts:
    return Amounts(1, op.flops, op.transcendentals, op.bytes_read, op.bytes_written)


def _sums(trace: Trace, key_of: Any) -> dict[Any, Amounts]:
    sums: dict[Any, list[int]] = {}
    for block in trace.blocks:
        for op in block.ops:
            amounts = sums.setdefault(key_of(op), [0] * len(fields(Amounts)))
            for at, amount in enumerate(astuple(_amounts(op))):
                amounts[at] += amount * block.repeats
    return {key: Amounts(*amounts) for key, amounts in sums.items()}


def _columns(amounts: Amounts, total: Amounts) -> dict[str, Any]:
    return {
        "count": amounts.count,
        "flops": amounts.flops,
        "transcendentals": amounts.transcendentals,
        "bytes_read": amounts.bytes_read,
        "bytes_written": amounts.bytes_written,
        "bytes": amounts.bytes,
        "flops_per_byte": amounts.flops_per_byte,
        "count_share": amounts.count / total.count,
        "flops_share": amounts.flops / total.flops if total.flops else 0.0,
        "bytes_share": amounts.bytes / total.bytes if total.bytes else 0.0,
    }


_Kinds = dict[_KindKey, Amounts]


def _equal_layers(trace: Trace) -> Iterator[tuple[Phase, int | None, int | None, _Kinds]]:
    """Give (phase, first layer, last layer, amounts of one layer by kind) of each run of layers.

    A block counts for a range of layers: it adds where the range begins, and takes away behind its
    end, so that one walk over the layers sums all steps, however many.
    """
    outside: dict[Phase, _Kinds] = {}
    changes: dict[Phase, dict[int, _Kinds]] = {}
    for block in trace.blocks:
        for op in block.ops:
            key, amounts = (op.kind, str(op.family)), _amounts(op)
            if op.layer is None:
                _add(outside.setdefault(op.phase, {}), key, amounts * block.repeats)
                continue
            edges = changes.setdefault(op.phase, {})
            _add(edges.setdefault(op.layer, {}), key, amounts)
            _add(edges.setdefault(op.layer + block.repeats, {}), key, amounts * -1)
    for phase in Phase:
        if phase in outside:
            yield phase, None, None, outside[phase]
        if phase in changes:
            yield from _runs(phase, changes[phase])


def _runs(phase: Phase, changes: Mapping[int, _Kinds]) -> Iterator[tuple[Phase, int, int, _Kinds]]:
    """Sum the changes from layer to layer; layers where nothing changes are one run."""
    now: _Kinds = {}
    start = min(changes)
    for layer in sorted(changes):
        after = dict(now)
        for key, amounts in changes[layer].items():
            _add(after, key, amounts)
        after = {key: amounts for key, amounts in after.items() if amounts.count}
        if after != now:
            if now:
                yield phase, start, layer - 1, now
            now, start = after, layer


def _add(kinds: _Kinds, key: _KindKey, amounts: Amounts) -> None:
    kinds[key] = kinds.get(key, Amounts()) + amounts
