"""How many bytes a loop brings to L1 where its operands lie further out."""

from __future__ import annotations

from sim.cpu.kernelcores.addresses import Aliases, Place
from sim.cpu.kernelcores.text import Kernel

LINE_BYTES = 64
Stream = tuple[object, int]
"""Where pointers came from and their scale, and bytes from an iteration to the next."""


def new_bytes(kernel: Kernel) -> int:
    """Return bytes an iteration that were in no earlier one, in whole lines where they lie apart.

    Models: pointers that move by constants; accesses of one stream that overlap, iterations apart
    too; lines fetched for stores; that what does not move stays in L1; one line for an address that
    is itself computed or loaded.
    Ignores: lines written back; that streaming stores fetch none; alignment, so a line more at
    either end of an access; sets that conflict.
    Source: J. Treibig, G. Hager: Introducing a Performance Model for Bandwidth-Limited Loop
    Kernels, PPAM 2009, section 3.
    """
    first, second = _places(kernel)
    streams: dict[Stream, list[tuple[int, int]]] = {}
    wild = 0
    for (place, size), (later, _) in zip(first, second, strict=True):
        origins, scale, start = place
        if later[:2] != place[:2]:
            wild += LINE_BYTES * -(-size // LINE_BYTES)
            continue
        step = later[2] - start
        streams.setdefault(((origins, scale), step), []).append((start, start + size))
    return wild + sum(_swept(spans, abs(step)) for (_, step), spans in streams.items())


def _places(kernel: Kernel) -> tuple[list[tuple[Place, int]], list[tuple[Place, int]]]:
    """Return each access's address and bytes in two iterations, after two that settle pointers."""
    aliases = Aliases()
    found: list[list[tuple[Place, int]]] = []
    for iteration in range(4):
        found.append([])
        for number, each in enumerate(kernel.instructions):
            access = each.load or each.store
            if access is not None and each.cost_class != "prefetch":
                found[-1].append((aliases.place(access), access.bytes))
            aliases.step(each, number, iteration)
    return found[-2], found[-1]


def _swept(spans: list[tuple[int, int]], step: int) -> int:
    """Return new bytes an iteration of accesses that move together by `step` bytes."""
    if step == 0:
        return 0
    if step < LINE_BYTES:  # every line is touched in the end
        return step
    touched, reached = 0, None
    for start, end in sorted((start % step, start % step + end - start) for start, end in spans):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            touched += LINE_BYTES * -(-(end - begin) // LINE_BYTES)
            reached = end
    return min(touched, step)
