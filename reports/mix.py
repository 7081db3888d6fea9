"""The mix of a trace: its operations by phase and kind."""

from __future__ import annotations

from typing import Any

from workloads.trace import Trace


def mix_rows(trace: Trace) -> list[dict[str, Any]]:
    """Return one mapping a phase and kind, most flops first.

    Bytes are what the operations name, before any cache: each operation counts its own.
    """
    sums: dict[tuple[str, str, str], list[int]] = {}
    for block in trace.blocks:
        for op in block.ops:
            total = sums.setdefault((str(op.phase), op.kind, str(op.family)), [0, 0, 0])
            amounts = (1, op.flops, op.bytes_read + op.bytes_written)
            for at, amount in enumerate(amounts):
                total[at] += amount * block.repeats
    rows = [
        {
            "phase": phase,
            "kind": kind,
            "family": family,
            "count": count,
            "flops": flops,
            "bytes": touched,
            "flops_per_byte": flops / touched if touched else 0.0,
        }
        for (phase, kind, family), (count, flops, touched) in sums.items()
    ]
    return sorted(rows, key=lambda row: (row["phase"] != "prefill", -row["flops"]))
