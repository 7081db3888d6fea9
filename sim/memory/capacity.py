"""Whether a model fits in a machine's memory, and where it does not, what would."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from sim.errors import CapacityError
from workloads.trace import DTYPE_BYTES, Role, Trace

_SMALLER = ("bfloat16",)
"""What a model is offered to be traced in; narrower types need quantised weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The bytes that a trace needs, by how they grow.

    Models: weights of a size that is fixed, and in training their gradients and the optimiser's
    state; KV cache that grows with batch and context, activations and inputs that grow with
    batch; all of it in one memory at once.
    Ignores: what a runtime reserves for itself, workspaces, and fragmentation (see `PagedKv`).
    Source: Kwon et al., Efficient Memory Management for Large Language Model Serving with
    PagedAttention, SOSP 2023, section 2 (weights, KV cache and the rest of an accelerator's
    memory).
    """

    weight_bytes: int
    kv_bytes: int
    other_bytes: int
    """Activations, inputs, and the state of a recurrent network."""
    batch: int
    context: int
    """Positions that the KV cache has room for; 0 where the model keeps none."""
    used_context: int
    """Positions that the trace itself fills."""
    training_bytes: int = 0
    """Gradients of the weights, and what the optimiser keeps."""

    @classmethod
    def of(cls, trace: Trace) -> Room:
        """Count a trace's tensors."""
        caches = [tensor for tensor in trace.tensors if tensor.role is Role.KV_CACHE]
        kv = trace.bytes_of(Role.KV_CACHE)
        training = trace.bytes_of(Role.GRADIENT) + trace.bytes_of(Role.OPTIMIZER_STATE)
        return cls(
            weight_bytes=trace.weight_bytes,
            kv_bytes=kv,
            other_bytes=trace.footprint_bytes - trace.weight_bytes - kv - training,
            batch=trace.batch,
            context=min((tensor.shape[0] for tensor in caches), default=0),
            used_context=trace.prompt_tokens + trace.new_tokens - 1,
            training_bytes=training,
        )

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.fixed_bytes + self.kv_bytes + self.other_bytes

    @property
    def fixed_bytes(self) -> int:
        """What neither batch nor context changes."""
        return self.weight_bytes + self.training_bytes

    def largest_batch(self, capacity_bytes: int) -> int:
        """Sequences that fit beside the weights, at the same context; 0 where not even one does."""
        left = capacity_bytes - self.fixed_bytes
        a_sequence = Fraction(self.kv_bytes + self.other_bytes, self.batch)
        return max(0, int(left // a_sequence)) if a_sequence else 0

    def largest_context(self, capacity_bytes: int) -> int:
        """Positions that fit at the same batch; 0 where too few for what the trace fills."""
        if not self.context:
            return 0
        left = capacity_bytes - self.fixed_bytes - self.other_bytes
        positions = int(left // Fraction(self.kv_bytes, self.context))
        return positions if positions >= self.used_context else 0

    def devices(self, capacity_bytes: int) -> int:
        """Machines of that capacity that hold it together, split evenly."""
        return ceil(Fraction(self.total_bytes, max(capacity_bytes, 1)))


def require_room(trace: Trace, capacity_bytes: int, machine: str) -> None:
    """Raise CapacityError where a trace does not fit, with the changes that make it fit."""
    room = Room.of(trace)
    if room.total_bytes <= capacity_bytes:
        return
    fits = "; ".join(what_fits(trace, capacity_bytes))
    trained = f"{_gb(room.training_bytes)} of gradients and optimiser state, "
    raise CapacityError(
        f"{trace.model} needs {_gb(room.total_bytes)} ({_gb(room.weight_bytes)} of weights, "
        f"{trained if room.training_bytes else ''}"
        f"{_gb(room.kv_bytes)} of KV cache, {_gb(room.other_bytes)} of activations) and {machine} "
        f"has {_gb(capacity_bytes)}: take a smaller dtype, batch or model, or a machine with more "
        f"memory. Each of these alone fits: {fits}"
    )


def what_fits(trace: Trace, capacity_bytes: int) -> list[str]:
    """Return the single changes with which a trace fits, the largest value of each."""
    room = Room.of(trace)
    batch, context = room.largest_batch(capacity_bytes), room.largest_context(capacity_bytes)
    offers = [f"batch {batch:,} in place of {room.batch:,}"] * bool(batch)
    offers += [f"a context of {context:,} positions in place of {room.context:,}"] * bool(context)
    for dtype in _SMALLER:
        if DTYPE_BYTES[dtype] < DTYPE_BYTES[trace.dtype]:
            needed = bytes_in(trace, dtype)
            offers += [f"{dtype} ({_gb(needed)})"] * (needed <= capacity_bytes)
    return [*offers, f"{room.devices(capacity_bytes):,} such machines that share it evenly"]


def bytes_in(trace: Trace, dtype: str) -> int:
    """Return what a trace needs where the model's tensors have another element type."""
    return sum(
        t.total_bytes * DTYPE_BYTES[dtype] // DTYPE_BYTES[t.dtype]
        if t.dtype == trace.dtype
        else t.total_bytes
        for t in trace.tensors
    )


def _gb(size_bytes: int) -> str:
    """Return decimal gigabytes, or a smaller unit where that would say 0.0."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:,.1f} {unit}"
    return f"{size_bytes} B"
