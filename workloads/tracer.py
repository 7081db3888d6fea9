"""The tracer: runs a model's operations and writes down one `Op` for each.

With `execute=False` nothing is computed: arrays carry shapes only. Of every run of layers of the
same kind the first is walked, and its operations repeated for the others; only what each waits for
is looked up anew. The trace is that of an executed run, digest and all.

With `execute=True` every layer is walked, and layers are folded into one `Block` only where their
records turned out equal: that is the proof that they repeat.

Memory is laid out when the trace is finished: see `workloads.layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod
from typing import Any

from workloads.array import Array, Shape, Values, Written
from workloads.layout import Memory, laid_out
from workloads.trace import Access, Block, Family, Op, Phase, Role, Trace, TraceError

Ops = tuple[Op, ...]
_Outside = dict[int, list[int]]
"""Position in a block -> the tensors read there that something before the block wrote, if any."""


@dataclass(kw_only=True)
class Tracer:
    """Records one run of a model. Call the operations on its arrays, then `finish()`."""

    model: str
    dtype: str
    """Element type of weights and activations."""
    execute: bool
    """Whether numbers are computed."""
    batch: int = 1
    prompt_tokens: int = 1
    new_tokens: int = 1
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._memories: list[Memory] = []
        self._index_of: dict[str, int] = {}
        self._latest: dict[tuple[int, int | None], Written] = {}
        self._blocks: list[Block] = []
        self._ops: list[Op] = []
        self._outside: _Outside = {}
        self._start = 0  # position of the first operation of `_ops` in the expanded trace
        self._layer: int | None = None
        self._step = 0

    def begin_step(self, step: int) -> None:
        """Start a pass through the model: 0 is the prefill, decode passes count from 1."""
        self._close_block(repeats=1)
        self._step = step

    def tensor_name(self, tensor: int) -> str:
        """Name of a tensor."""
        return self._memories[tensor].name

    def declare(
        self,
        name: str,
        role: Role,
        shape: Shape,
        *,
        dtype: str | None = None,
        layers: int | None = None,
        values: Callable[[int | None], Values] | None = None,
    ) -> None:
        """Declare a tensor that exists before the first operation, one per layer with `layers`.

        `values` gives a layer's numbers; it is called only where the tracer executes.
        """
        if name in self._index_of:
            raise TraceError(f"tensor {name} is declared twice")
        self._index_of[name] = len(self._memories)
        self._memories.append(
            Memory(
                name=name,
                role=role,
                shape=shape,
                dtype=dtype or self.dtype,
                layers=layers or 1,
                layered=layers is not None,
                values=values,
            )
        )

    def get(self, name: str) -> Array:
        """Return a declared tensor: of the layer being recorded, where each layer has its own."""
        if name not in self._index_of:
            raise TraceError(f"tensor {name} is not declared")
        tensor = self._index_of[name]
        memory = self._memories[tensor]
        return Array(
            tracer=self,
            tensor=tensor,
            shape=memory.shape,
            dtype=memory.dtype,
            values=memory.values(self._layer) if self.execute and memory.values else None,
            written=self._latest.get(self._key(tensor)),
        )

    def values(self, name: str, layer: int | None) -> Values | None:
        """Return the numbers of a declared tensor in a layer; None where nothing was executed."""
        memory = self._memories[self._index_of[name]]
        return memory.values(layer) if self.execute and memory.values else None

    def layers(self, kinds: int | Sequence[str]) -> Iterator[int]:
        """Walk the layers: a count of equal ones, or the kind of each.

        Yields every layer where the tracer executes, and else the first of each run of
        neighbours of the same kind, whose operations then count for the whole run.
        """
        kinds = ("layer",) * kinds if isinstance(kinds, int) else kinds
        self._close_block(repeats=1)
        for _, run in groupby(range(len(kinds)), key=kinds.__getitem__):
            numbers = tuple(run)
            walked, repeats = (numbers, 1) if self.execute else (numbers[:1], len(numbers))
            for self._layer in walked:
                yield self._layer
                self._close_block(repeats=repeats)
        self._layer = None

    def record(
        self,
        *,
        kind: str,
        family: Family,
        name: str,
        dims: dict[str, int],
        flops: int,
        transcendentals: int = 0,
        reads: Sequence[Array | tuple[Array, int, int]],
        shape: Shape,
        compute: Callable[..., Values],
        dtype: str | None = None,
        buffer: str | None = None,
        updates: Array | None = None,
        role: Role = Role.ACTIVATION,
    ) -> Array:
        """Record exactly one operation, and return its result of shape `shape`.

        `reads` holds arrays, or (array, bytes, offset in bytes within the array) where the
        operation touches only a part. `compute` receives their numbers in that order.

        The result goes to the buffer named `buffer` (the operation's own name by default). With
        `updates` it overwrites that part of a declared tensor instead: the operation also waits
        for the tensor's last writer, and `compute` receives the part's numbers last.
        """
        touched = [read if isinstance(read, tuple) else (read, read.bytes, 0) for read in reads]
        sources = [array for array, _, _ in touched] + ([] if updates is None else [updates])
        depends_back = self._distances(name, sources)
        values = compute(*(source.values for source in sources)) if self.execute else None
        dtype = dtype or sources[0].dtype
        if updates is None:
            tensor, offset = self._buffer(buffer or name, role, shape, dtype), 0
        else:
            tensor, offset = updates.tensor, updates.offset_bytes
        written = Written(self._start + len(self._ops))
        self._latest[self._key(tensor)] = written
        result = Array(
            tracer=self,
            tensor=tensor,
            shape=shape,
            dtype=dtype,
            values=values,
            offset_bytes=offset,
            written=written,
        )
        self._ops.append(
            Op(
                kind=kind,
                family=family,
                name=name,
                dims=dims,
                flops=flops,
                transcendentals=transcendentals,
                reads=tuple(Access(a.tensor, n, a.offset_bytes + at) for a, n, at in touched),
                writes=(Access(tensor, result.bytes, offset),),
                depends_back=depends_back,
                dtype=sources[0].dtype,
                layer=self._layer,
                phase=Phase.DECODE if self._step else Phase.PREFILL,
                step=self._step,
            )
        )
        return result

    def finish(self) -> Trace:
        """Lay out the memory and return the verified trace."""
        self._close_block(repeats=1)
        trace = Trace(
            model=self.model,
            dtype=self.dtype,
            batch=self.batch,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens,
            tensors=laid_out(self._memories),
            blocks=tuple(self._blocks),
            about=self.about,
        )
        trace.verify()
        return trace

    def _key(self, tensor: int, layer: int | None = None) -> tuple[int, int | None]:
        """Where a tensor's writings are noted: one place, or one in each layer."""
        if not self._memories[tensor].layered:
            return tensor, None
        return tensor, self._layer if layer is None else layer

    def _distances(self, name: str, sources: Sequence[Array]) -> tuple[int, ...]:
        position = len(self._ops)
        distances = set()
        for source in sources:
            latest = self._latest.get(self._key(source.tensor))
            if source.written is not latest:
                raise TraceError(
                    f"{name} reads {source.name}, which another operation has overwritten; "
                    f"give one of the two results a buffer of its own"
                )
            writable = self._memories[source.tensor].role in {Role.ACTIVATION, Role.KV_CACHE}
            if writable and (latest is None or latest.index < self._start):
                self._outside.setdefault(position, []).append(source.tensor)
            if latest is not None:
                distances.add(self._start + position - latest.index)
        return tuple(sorted(distances))

    def _buffer(self, name: str, role: Role, shape: Shape, dtype: str) -> int:
        """Tensor of an activation's buffer, grown to the largest shape written to it."""
        if name not in self._index_of:
            self.declare(name, role, shape, dtype=dtype)
        tensor = self._index_of[name]
        memory = self._memories[tensor]
        if memory.dtype != dtype or memory.role is not role:
            raise TraceError(
                f"buffer {name} holds {memory.role} {memory.dtype}, not {role} {dtype}"
            )
        if prod(shape) > prod(memory.shape):
            memory.shape = shape
        return tensor

    def _close_block(self, *, repeats: int) -> None:
        """End a block whose operations also stand for the `repeats - 1` layers after its own."""
        ops, self._ops = tuple(self._ops), []
        outside, self._outside = self._outside, {}
        if not ops:
            return
        last = self._blocks[-1] if self._blocks else None
        if last is not None and _continues(last, ops):
            self._blocks[-1] = replace(last, repeats=last.repeats + 1)
        else:
            self._blocks.append(Block(ops=ops))
        self._start += len(ops)
        written = {access.tensor for op in ops for access in op.writes}
        writings = {tensor: self._latest[self._key(tensor)] for tensor in written}
        first = self._layer or 0
        for layer in range(first + 1, first + repeats):
            ops = self._repeated(ops, outside, layer)
            self._move_writings(writings, layer, layer - first, len(ops))
            self._start += len(ops)

    def _repeated(self, ops: Ops, outside: _Outside, layer: int) -> Ops:
        """Add the next layer's operations: of the same shapes, but waiting for writers of its own.

        Distances within a layer repeat; those to writers `outside` it are looked up again.
        """
        changed = {}
        for position, tensors in outside.items():
            before = ops[position].depends_back
            distances = {distance for distance in before if distance <= position}
            for tensor in tensors:
                latest = self._latest.get(self._key(tensor, layer))
                if latest is not None:
                    distances.add(self._start + position - latest.index)
            if (after := tuple(sorted(distances))) != before:
                changed[position] = after
        if not changed:
            self._blocks[-1] = replace(self._blocks[-1], repeats=self._blocks[-1].repeats + 1)
            return ops
        ops = tuple(
            replace(op, layer=layer, depends_back=changed.get(position, op.depends_back))
            for position, op in enumerate(ops)
        )
        self._blocks.append(Block(ops=ops))
        return ops

    def _move_writings(
        self, writings: dict[int, Written], layer: int, repeat: int, op_count: int
    ) -> None:
        """Make the repeated layer the last writer: of its own instances, and of what all share."""
        for tensor, written in writings.items():
            if self._memories[tensor].layered:
                self._latest[tensor, layer] = Written(written.index + repeat * op_count)
            else:
                written.index += op_count


def _continues(block: Block, ops: Sequence[Op]) -> bool:
    """Whether `ops` are the block's operations in the layer right after its last."""
    first = block.first_layer
    if first is None or ops[0].layer != first + block.repeats or len(ops) != len(block.ops):
        return False
    return all(replace(op, layer=first) == old for op, old in zip(ops, block.ops, strict=True))
