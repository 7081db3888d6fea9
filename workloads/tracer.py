"""The tracer: runs a model's operations and writes down one `Op` for each.

With `execute=False` nothing is computed: arrays carry shapes only. Of the layers of one kind that
follow a layer of one kind only the first is walked, and its operations repeated for the others;
only what each waits for is looked up anew. The trace is that of an executed run, digest and all.

With `execute=True` every layer of a prefill is walked, and layers are folded into one `Block` only
where their records turned out equal: that is the proof that they repeat. Decode passes then replay
them: see `workloads.replay`. Layers walked from the last to the first, as a backward pass does,
have a `Block` each.

With `trains=True` operations that have a gradient rule are put on a tape, in order, and what the
rules read again is kept: see `workloads.tape`.

Memory is laid out when the trace is finished: see `workloads.layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple

from workloads.array import Array, Shape, Values, Written
from workloads.layout import Memory, laid_out
from workloads.records import Blocks, Record, Records, last_writers, with_distances
from workloads.replay import Formula, Replay
from workloads.tape import Recorded, Rule
from workloads.trace import Access, Family, Phase, Role, Trace, TraceError

_WRITABLE = {Role.ACTIVATION, Role.KV_CACHE, Role.STATE}
"""What a run writes to."""

_Outside = dict[int, list[int]]
"""Position in a block -> the tensors read there that something before the block wrote, if any."""


class _Layer(NamedTuple):
    """A walked layer, from which others of its kind are made."""

    records: Records
    outside: _Outside
    writers: Mapping[int, int]
    """Tensor written -> position of its last writer."""
    formulas: tuple[Formula, ...] = ()

    @property
    def result(self) -> int:
        """Tensor that the last operation writes: what the next layer reads."""
        return self.records[-1].writes[0].tensor if self.records else -1


@dataclass(kw_only=True)
class Tracer:
    """Records one run of a model. Call the operations on its arrays, then `finish()`."""

    model: str
    dtype: str
    """Element type of weights and activations."""
    execute: bool
    """Whether numbers are computed."""
    trains: bool = False
    """Whether operations go on the tape of a backward pass."""
    replays: bool = True
    """Whether executed decode passes replay layers that repeat, in place of walking them."""
    batch: int = 1
    prompt_tokens: int = 1
    new_tokens: int = 1
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._memories: list[Memory] = []
        self._index_of: dict[str, int] = {}
        self._latest: dict[tuple[int, int | None], Written] = {}
        self._blocks = Blocks()
        self._records: list[Record] = []
        self._outside: _Outside = {}
        self._start = 0  # position of the first of `_records` in the expanded trace
        self._layer: int | None = None
        self._step = 0
        self._phase = Phase.PREFILL
        self._layer_count = 0
        self._replay: Replay | None = None
        self._reverse = False
        self._tape: list[Recorded] = []
        self._scope = ""

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put `name/` before the names of all tensors and operations: two models in one trace."""
        outer, self._scope = self._scope, f"{name}/" if name else ""
        yield
        self._scope = outer

    def begin_step(self, step: int, phase: Phase | None = None) -> None:
        """Start a pass through the model: 0 is the prefill, decode passes count from 1.

        A training step has several passes, whose `phase` says which.
        """
        self._close_block()
        self._step = step
        self._phase = phase or (Phase.DECODE if step else Phase.PREFILL)

    def tensor_name(self, tensor: int) -> str:
        """Name of a tensor."""
        return self._memories[tensor].name

    def role_of(self, array: Array) -> Role:
        """Return what the tensor that an array lies in is for."""
        return self._memories[array.tensor].role

    def instance_of(self, array: Array) -> int | None:
        """Return the layer now walked, where each has an array's tensor of its own, else None."""
        return self._layer if self._memories[array.tensor].layered else None

    def declare(
        self,
        name: str,
        role: Role,
        shape: Shape,
        *,
        dtype: str | None = None,
        layers: int | None = None,
        first_layer: int = 0,
        values: Callable[[int | None], Values] | None = None,
    ) -> None:
        """Declare a tensor that exists before the first operation, one per layer with `layers`.

        The layers that have one are `layers` neighbours from `first_layer` on.
        `values` gives a layer's numbers; it is called only where the tracer executes.
        """
        name = self._scoped(name)
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
                first_layer=first_layer,
                values=values,
            )
        )

    def has(self, name: str) -> bool:
        """Whether a tensor of that name is declared."""
        return self._scoped(name) in self._index_of

    def get(self, name: str) -> Array:
        """Return a declared tensor: of the layer being recorded, where each layer has its own."""
        name = self._scoped(name)
        if name not in self._index_of:
            raise TraceError(f"tensor {name} is not declared")
        tensor = self._index_of[name]
        memory = self._memories[tensor]
        if memory.layered and self._layer is not None:
            at = self._layer - memory.first_layer
            if not 0 <= at < memory.layers:
                raise TraceError(f"layer {self._layer} has no tensor {name} of its own")
        return Array(
            tracer=self,
            tensor=tensor,
            shape=memory.shape,
            dtype=memory.dtype,
            numbers=memory.values(self._layer) if self.execute and memory.values else None,
            stored=memory.values is not None,
            written=self._latest.get(self._key(tensor)),
        )

    def values(self, name: str, layer: int | None) -> Values | None:
        """Return the numbers of a declared tensor in a layer; None where nothing was executed."""
        memory = self._memories[self._index_of[name]]
        return memory.values(layer) if self.execute and memory.values else None

    def layers(self, kinds: int | Sequence[str], *, reverse: bool = False) -> Iterator[int]:
        """Walk the layers: a count of equal ones, or the kind of each; `reverse` from the last.

        Yields every layer where the tracer executes, but for decode passes that it can replay.
        Else the first of each run of neighbours of one kind, whose operations then count for the
        whole run, and for later runs of the kind that follow the same kind: as long as all layers
        leave their results in one place, and no tape is kept, which needs a layer of every run.
        """
        kinds = ("layer",) * kinds if isinstance(kinds, int) else kinds
        self._close_block()
        self._layer_count, self._reverse = len(kinds), reverse
        if self.execute and self.replays and self._phase is Phase.DECODE:
            self._replay = Replay(self._memories)
        patterns: dict[tuple[str, str], _Layer] = {}  # by the kind before, and the layer's own
        before, result = "", 0
        for self._layer in range(len(kinds))[::-1] if reverse else range(len(kinds)):
            kind = kinds[self._layer]
            pattern = patterns.get((before, kind))
            if pattern is not None and pattern.result == result and self._can_repeat(pattern):
                if self._replay is not None:
                    self._run_again(self._replay, pattern, self._layer)
                self._repeat(pattern, self._layer)
            else:
                yield self._layer
                walked = self._close_block()
                result = walked.result
                if self.trains:
                    patterns.clear()
                patterns[before, kind] = walked
                if not self.execute:
                    patterns[kind, kind] = walked
            before = kind
        self._layer, self._reverse, self._replay = None, False, None

    def _can_repeat(self, pattern: _Layer) -> bool:
        """Whether a walked layer can stand for others; executed, its formulas must be known."""
        if self._replay is None:
            return not self.execute
        return self._replay.possible and bool(pattern.formulas)

    def looked_at(self) -> None:
        """Take note that somebody looks at numbers: the layer's operations may depend on them."""
        if self._replay is not None:
            self._replay.refuse()

    def take_tape(self) -> list[Recorded]:
        """Return what was put on the tape since it was last taken, in order."""
        tape, self._tape = self._tape, []
        return tape

    def recall(self, kept: Array, layer: int | None) -> Array:
        """Return an array of the tape, made in `layer`, as the layer now walked has it.

        Where nothing is executed the tape of a layer stands for all that repeat it.
        """
        memory = self._memories[kept.tensor]
        if kept.written is not self._latest.get((kept.tensor, layer if memory.layered else None)):
            raise TraceError(f"the backward pass reads {kept.name}, which has been overwritten")
        return replace(kept, written=self._latest.get(self._key(kept.tensor)))

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
        updates: Array | tuple[Array, ...] | None = None,
        into: Sequence[Array] = (),
        role: Role = Role.ACTIVATION,
        backward: Rule | None = None,
        parts: int = 1,
    ) -> Array:
        """Record exactly one operation, and return its result of shape `shape`.

        `reads` holds arrays, or (array, bytes, offset in bytes within the array) where the
        operation touches only a part. `compute` receives their numbers in that order.

        The result goes to the buffer named `buffer` (the operation's own name by default). With
        `updates` it overwrites that part of a declared tensor instead: the operation also waits
        for the tensor's last writer, and `compute` receives the part's numbers last. Of several
        parts that it overwrites, the first is its result. `into` are parts of declared tensors
        that each take the result without a look at what was there.

        `parts` says that the result is so many equal ones, one after another. `backward` is the
        operation's gradient rule.
        """
        name, buffer = self._scoped(name), self._scoped(buffer or name)
        inputs: list[Array] = []
        accesses: list[Access] = []
        for read in reads:
            array, size, at = read if isinstance(read, tuple) else (read, read.bytes, 0)
            inputs.append(array)
            accesses.append(Access(array.tensor, size, array.offset_bytes + at))
        updated = (updates,) if isinstance(updates, Array) else updates or ()
        sources = [*inputs, *updated]
        if self.trains and backward is not None:
            inputs = self._kept_inputs(name, inputs, backward, buffer)
        depends_back = self._distances(name, sources)
        values = compute(*[source.read() for source in sources]) if self.execute else None
        dtype = dtype or sources[0].dtype
        places = (*updated, *into)
        if not places:
            tensor, offset = self._buffer(buffer, role, shape, dtype), 0
        else:
            tensor, offset = places[0].tensor, places[0].offset_bytes
            values = _stored(values, into)
        written = self._note_writing(tensor)
        result = Array(
            tracer=self,
            tensor=tensor,
            shape=shape,
            dtype=dtype,
            numbers=values,
            stored=bool(places) and places[0].stored and values is places[0].numbers,
            offset_bytes=offset,
            written=written,
        )
        if self._replay is not None:
            self._replay.note(compute, sources, places, into, result=result, start=self._start)
        writes: tuple[Access, ...] = (Access(tensor, result.bytes, offset),)
        if parts > 1:
            writes = tuple(_equal_parts(writes[0], parts))
        for part in places[1:]:
            self._note_writing(part.tensor)
            writes += (Access(part.tensor, part.bytes, part.offset_bytes),)
        self._records.append(
            Record(
                kind,
                family,
                name,
                dims,
                flops,
                transcendentals,
                tuple(accesses),
                writes,
                depends_back,
                sources[0].dtype,
            )
        )
        if self.trains and backward is not None:
            kept = result if backward.saves_result else replace(result, numbers=None)
            if backward.saves_result:
                self._keep(result)
            self._tape.append(Recorded(name, self._layer, tuple(inputs), kept, backward))
        return result

    def finish(self) -> Trace:
        """Lay out the memory and return the verified trace."""
        self._close_block()
        trace = Trace(
            model=self.model,
            dtype=self.dtype,
            batch=self.batch,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens,
            tensors=laid_out(self._memories),
            blocks=self._blocks.finished(),
            about=self.about,
        )
        trace.verify()
        return trace

    def _kept_inputs(self, name: str, inputs: list[Array], rule: Rule, buffer: str) -> list[Array]:
        """Keep the inputs that a rule reads again; the tape forgets the numbers of the others."""
        kept = []
        for number, array in enumerate(inputs):
            if number not in rule.saves:
                kept.append(replace(array, numbers=None))
                continue
            memory = self._memories[array.tensor]
            shared = self._layer is not None and not (memory.in_layers or memory.layered)
            if memory.role is Role.ACTIVATION and (shared or memory.name == buffer):
                copy = self._set_aside(array, f"{name}.input")
                kept.append(replace(array, numbers=None, kept=copy))
            else:
                self._keep(array)
                kept.append(array)
        return kept

    def _set_aside(self, array: Array, name: str) -> Array:
        """Copy what is about to be overwritten."""
        copy = self.record(
            kind="set_aside",
            family=Family.COPY,
            name=name,
            dims={"elements": array.size},
            flops=0,
            reads=(array,),
            shape=array.shape,
            compute=lambda x: x,  # results are never changed in place, so nothing to copy
        )
        self._keep(copy)
        return copy

    def _keep(self, array: Array) -> None:
        """Give each layer a buffer of its own for what a backward pass reads again."""
        memory = self._memories[array.tensor]
        if memory.role is not Role.ACTIVATION or not memory.in_layers or memory.layered:
            return
        memory.layered, memory.layers = True, self._layer_count
        self._latest[array.tensor, self._layer] = self._latest.pop((array.tensor, None))

    def _scoped(self, name: str) -> str:
        """Full name of what is named within the scope; a full name stays."""
        scope = self._scope
        return name if not scope or name.startswith(scope) else scope + name

    def _key(self, tensor: int) -> tuple[int, int | None]:
        """Where a tensor's writings are noted: one place, or one in each layer."""
        return tensor, self._layer if self._memories[tensor].layered else None

    def _note_writing(self, tensor: int) -> Written:
        """Make the next operation the tensor's last writer.

        Each tensor has a `Written` of its own: repeated layers move them apart.
        """
        written = Written(self._start + len(self._records))
        self._latest[self._key(tensor)] = written
        return written

    def _distances(self, name: str, sources: Sequence[Array]) -> tuple[int, ...]:
        """How far back the last writers of what an operation reads are."""
        position = len(self._records)
        distances = set()
        for source in sources:
            memory = self._memories[source.tensor]
            latest = self._latest.get((source.tensor, self._layer if memory.layered else None))
            if source.written is not latest:
                raise TraceError(
                    f"{name} reads {source.name}, which another operation has overwritten; "
                    f"give one of the two results a buffer of its own"
                )
            if latest is not None:
                distances.add(self._start + position - latest.index)
            if latest is not None and latest.index >= self._start:
                continue
            if self.trains or memory.role in _WRITABLE:
                self._outside.setdefault(position, []).append(source.tensor)
        return tuple(sorted(distances))

    def _buffer(self, name: str, role: Role, shape: Shape, dtype: str) -> int:
        """Tensor of an activation's buffer, grown to the largest shape written to it."""
        if name not in self._index_of:
            self.declare(name, role, shape, dtype=dtype)
            self._memories[self._index_of[name]].in_layers = self._layer is not None
        tensor = self._index_of[name]
        memory = self._memories[tensor]
        if memory.dtype != dtype or memory.role is not role:
            raise TraceError(
                f"buffer {name} holds {memory.role} {memory.dtype}, not {role} {dtype}"
            )
        if prod(shape) > prod(memory.shape):
            memory.shape = shape
        return tensor

    def _close_block(self) -> _Layer:
        """End a layer, or what stands outside the layers."""
        records = tuple(self._records)
        formulas = () if self._replay is None else self._replay.walked()
        closed = _Layer(records, self._outside, last_writers(records), formulas)
        self._records, self._outside = [], {}
        if closed.records:
            self._blocks.add(closed.records, self._layer, self._phase, self._step)
            self._start += len(closed.records)
        return closed

    def _repeat(self, pattern: _Layer, layer: int) -> None:
        """Add a layer's operations: of the pattern's shapes, but waiting for writers of its own.

        Distances within a layer repeat; those to writers `outside` it are looked up again. Then
        the layer is the last writer: of its own instances, and of what all layers share.
        """
        start, memories, writings = self._start, self._memories, self._latest
        changed = {}
        for position, tensors in pattern.outside.items():
            before = pattern.records[position].depends_back
            distances = {distance for distance in before if distance <= position}
            for tensor in tensors:
                latest = writings.get((tensor, layer if memories[tensor].layered else None))
                if latest is not None:
                    distances.add(start + position - latest.index)
            if (after := tuple(sorted(distances))) != before:
                changed[position] = after
        records = with_distances(pattern.records, changed)
        self._blocks.add(records, layer, self._phase, self._step)
        for tensor, position in pattern.writers.items():
            if memories[tensor].layered:
                writings[tensor, layer] = Written(start + position)
            else:
                writings[tensor, None].index = start + position
        self._start += len(records)

    def _run_again(self, replay: Replay, pattern: _Layer, layer: int) -> None:
        """Compute a layer's numbers, and give them to who holds the arrays of the buffers."""
        replay.run(pattern.formulas, layer)
        for tensor in pattern.writers:
            if not self._memories[tensor].layered:
                self._latest[tensor, None].values = replay.buffers.get(tensor)


def _equal_parts(access: Access, parts: int) -> Iterator[Access]:
    """Cut what is touched into so many neighbours of one size."""
    size = access.bytes // parts
    for part in range(parts):
        yield Access(access.tensor, size, access.offset_bytes + size * part)


def _stored(values: Values | None, into: Sequence[Array]) -> Values | None:
    """Put a result where declared tensors have their numbers; the only one's are the result's."""
    places = [part.numbers for part in into if part.numbers is not None]
    for place in places:
        place[...] = values
    return places[0] if len(places) == 1 else values
