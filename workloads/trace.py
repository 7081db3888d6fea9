"""The trace: the one contract between what a model does and what a machine does.

A trace is a list of operations over tensors, in program order. It says what is computed, how many
bytes each operation touches and where they lie, and which operations wait for which. It says
nothing of hardware: every machine runs the same trace.

Layers of the same shape are stored once. A `Block` is a run of operations together with the number
of consecutive layers it stands for, so a trace of a 96-layer model holds one layer per step, and a
simulator may replay what it has proved to repeat. `Trace.placed_ops()` expands the blocks.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

FORMAT_VERSION = 2

DTYPE_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int8": 1,
    "float8_e4m3": 1,
    "float8_e5m2": 1,
}

PACKED_BITS: Mapping[str, int] = {"int4": 4, "uint2": 2}
"""Element types of which several share a byte: 4-bit weights, places of kept weights in 2:4."""


def stored_bytes(elements: int, dtype: str) -> int:
    """Bytes of so many elements one after another; a last byte may be part empty."""
    if dtype in PACKED_BITS:
        return -(-elements * PACKED_BITS[dtype] // 8)
    return elements * DTYPE_BYTES[dtype]


class TraceError(ValueError):
    """A trace, or a file that should hold one, is not consistent."""


class Role(StrEnum):
    """What a tensor is for, which decides where machines keep it."""

    WEIGHT = "weight"  # read in every step; written by a training step's update only
    ACTIVATION = "activation"  # written and read within a step
    KV_CACHE = "kv_cache"  # grows by one position a step, read in every later step
    INPUT = "input"  # token numbers from outside
    GRADIENT = "gradient"  # of the weights: written by a backward pass, read by its update
    OPTIMIZER_STATE = "optimizer_state"  # read and written by every update: moments, master weights
    STATE = "state"  # overwritten in every step, read by the next: a recurrent network's memory


class Phase(StrEnum):
    """Which part of answering a prompt, or of a training step, an operation belongs to."""

    PREFILL = "prefill"  # all prompt tokens in one pass
    DECODE = "decode"  # one new token a pass
    FORWARD = "forward"  # all tokens of a training batch, and their loss
    BACKWARD = "backward"  # the loss's gradient with respect to every weight
    UPDATE = "update"  # the optimiser's step


ANSWERING = (Phase.PREFILL, Phase.DECODE)
TRAINING = (Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE)


class Family(StrEnum):
    """The shape of an operation's loops: machines lower families, not single kinds.

    The keys of `Op.dims` of each family:

    - MATMUL: `batch, m, n, k`: batch independent products C[m,n] = A[m,k] x B[k,n].
    - ROWWISE: `rows, cols, passes`: reductions along each row, then a map; `passes` counts
      how often a row is walked (softmax 3: maximum, sum, scale).
    - ELEMENTWISE: `elements`: one result per element.
    - GATHER: `rows, cols`: copy chosen rows of a table, or add to them.
    - COPY: `elements`: move data without arithmetic.
    - ATTENTION: `batch, rows, positions, size, tile`: scores, softmax and mix in one, `tile`
      positions at a time; of the matrix between them only a tile ever exists.
    """

    MATMUL = "matmul"
    ROWWISE = "rowwise"
    ELEMENTWISE = "elementwise"
    GATHER = "gather"
    COPY = "copy"
    ATTENTION = "attention"


FAMILY_DIMS: Mapping[Family, tuple[str, ...]] = {
    Family.MATMUL: ("batch", "m", "n", "k"),
    Family.ROWWISE: ("rows", "cols", "passes"),
    Family.ELEMENTWISE: ("elements",),
    Family.GATHER: ("rows", "cols"),
    Family.COPY: ("elements",),
    Family.ATTENTION: ("batch", "rows", "positions", "size", "tile"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One named piece of memory, or one of the same name in each of `layers` layers."""

    name: str
    """Where it stands in the model, such as `attention.query.weight`."""
    role: Role
    shape: tuple[int, ...]
    """Shape of one layer's instance."""
    dtype: str
    address: int
    """Byte address of the first layer's instance, in one flat address space."""
    layers: int = 1
    """Instances, one per layer; 1 where the layers share it or it has none."""
    layer_stride_bytes: int = 0
    """Distance between the instances of neighbouring layers."""
    first_layer: int = 0
    """Layer of the first instance, where only some of a model's layers have one."""

    @property
    def bytes(self) -> int:
        """Size of one layer's instance."""
        return stored_bytes(prod(self.shape), self.dtype)

    @property
    def total_bytes(self) -> int:
        """Size of all layers' instances."""
        return self.bytes * self.layers

    def address_in(self, layer: int | None) -> int:
        """Address of the instance that belongs to `layer`."""
        return self.address + ((layer or 0) - self.first_layer) * self.layer_stride_bytes


class Access(NamedTuple):
    """That an operation touches some bytes of a tensor: all, gathered rows, a filled prefix.

    Each byte counts once, however often the operation's loops come back to it.
    """

    tensor: int
    """Index into `Trace.tensors`."""
    bytes: int
    offset_bytes: int = 0
    """Where in the tensor the touched bytes begin; 0 for gathered rows, which are scattered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation of the model, with all that a machine may know of it."""

    kind: str
    """What it computes: `matmul`, `rmsnorm`, `softmax`, ..."""
    family: Family
    name: str
    """Where it stands in the model: `attention.query`, `mlp.down`, ..."""
    dims: Mapping[str, int]
    """Loop extents, with the keys of `FAMILY_DIMS[family]`."""
    flops: int
    """Additions, multiplications, divisions and comparisons; a fused multiply-add is two."""
    transcendentals: int = 0
    """Exponentials, square roots, tangents and the like, counted apart from `flops`."""
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    depends_back: tuple[int, ...] = ()
    """Operations that this one waits for, as distances backwards in program order (1 is the
    operation just before). Distances, unlike indices, are the same in every layer.
    """
    dtype: str
    """Element type of the arithmetic's operands."""
    layer: int | None = None
    """Layer of the model; None outside the layers."""
    phase: Phase
    step: int
    """0 is the prefill; decode steps count from 1. In training, the number of the batch from 0."""

    @property
    def bytes_read(self) -> int:
        """Distinct bytes read."""
        return sum(access.bytes for access in self.reads)

    @property
    def bytes_written(self) -> int:
        """Distinct bytes written."""
        return sum(access.bytes for access in self.writes)

    @property
    def shape_key(self) -> tuple[Any, ...]:
        """What decides the cost of the operation apart from where its operands lie."""
        return (
            self.kind,
            self.family,
            tuple(self.dims.items()),
            self.flops,
            self.transcendentals,
            tuple(a.bytes for a in self.reads),
            tuple(a.bytes for a in self.writes),
            self.dtype,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operations that stand for `repeats` consecutive layers of the same shape."""

    ops: tuple[Op, ...]
    """The first layer's operations (or operations outside any layer, with `repeats` 1)."""
    repeats: int = 1

    @property
    def first_layer(self) -> int | None:
        """Layer of the first repetition; None outside the layers."""
        return self.ops[0].layer

    @property
    def op_count(self) -> int:
        """Operations after expansion."""
        return len(self.ops) * self.repeats


@dataclass(frozen=True, slots=True)
class PlacedOp:
    """One operation of the expanded trace."""

    index: int
    """Position in program order."""
    layer: int | None
    op: Op

    @property
    def dependencies(self) -> tuple[int, ...]:
        """Indices of the operations it waits for."""
        return tuple(self.index - distance for distance in self.op.depends_back)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What one run of a model does, from the prompt to the last generated token."""

    model: str
    dtype: str
    """Element type of weights and activations."""
    batch: int
    prompt_tokens: int
    """Tokens of each prompt, or of each training sequence."""
    new_tokens: int
    """Tokens generated for each prompt, the first out of the prefill; 0 where a model trains."""
    tensors: tuple[Tensor, ...]
    blocks: tuple[Block, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    """Free facts for people (parameter count, source of the weights); not part of the digest."""

    @property
    def op_count(self) -> int:
        """Operations after expansion."""
        return sum(block.op_count for block in self.blocks)

    @property
    def flops(self) -> int:
        """Arithmetic of the whole run."""
        return sum(op.flops * b.repeats for b in self.blocks for op in b.ops)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        return self.bytes_of(Role.WEIGHT)

    @property
    def footprint_bytes(self) -> int:
        """Bytes of all tensors together: what a machine's memory must hold."""
        return sum(t.total_bytes for t in self.tensors)

    def bytes_of(self, role: Role) -> int:
        """Bytes of all tensors of one role."""
        return sum(t.total_bytes for t in self.tensors if t.role is role)

    def placed_ops(self) -> Iterator[PlacedOp]:
        """Every operation in program order, blocks expanded."""
        index = 0
        for block in self.blocks:
            for repeat in range(block.repeats):
                for op in block.ops:
                    layer = None if op.layer is None else op.layer + repeat
                    yield PlacedOp(index, layer, op)
                    index += 1

    def digest(self) -> str:
        """SHA-256 over everything but `about`: the same work gives the same digest."""
        return hashlib.sha256(_canonical(self._content())).hexdigest()

    def verify(self) -> None:
        """Raise TraceError at the first thing that cannot be true of a real run."""
        if not self.blocks:
            raise TraceError(f"trace of {self.model}: holds no operations")
        position, sizes = 0, [tensor.bytes for tensor in self.tensors]
        for block in self.blocks:
            if not block.ops or block.repeats < 1:
                raise TraceError(f"trace of {self.model}: an empty block at operation {position}")
            for op in block.ops:
                self._verify_op(op, position, sizes)
                position += 1
            position += len(block.ops) * (block.repeats - 1)

    def _verify_op(self, op: Op, position: int, sizes: Sequence[int]) -> None:
        """Check one operation; `sizes` are the bytes of the tensors."""
        where = f"trace of {self.model}, operation {position} ({op.name})"
        if tuple(op.dims) != FAMILY_DIMS[op.family]:
            raise TraceError(f"{where}: dims {tuple(op.dims)} should be {FAMILY_DIMS[op.family]}")
        if min(*op.dims.values(), 1) < 1 or op.flops < 0 or op.transcendentals < 0:
            raise TraceError(f"{where}: extents must be positive, counts not negative")
        for distance in op.depends_back:
            if not 1 <= distance <= position:
                raise TraceError(f"{where}: depends on an operation {distance} back")
        for number, size, offset in (*op.reads, *op.writes):
            if not 0 <= number < len(sizes):
                raise TraceError(f"{where}: refers to tensor {number}, which is not listed")
            if size < 0 or offset + size > sizes[number]:
                raise TraceError(
                    f"{where}: touches {size} bytes of {self.tensors[number].name}, "
                    f"which has {sizes[number]}"
                )

    def save(self, path: Path) -> None:
        """Write the trace with its digest as gzipped JSON; nothing half-written is left."""
        payload = {
            "format": FORMAT_VERSION,
            "digest": self.digest(),
            "about": dict(self.about),
            **self._content(),
        }
        partial = path.with_name(path.name + ".partial")
        try:
            partial.write_bytes(gzip.compress(_canonical(payload), mtime=0))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Read and verify a saved trace; TraceError where it is damaged or of another format."""
        try:
            payload = json.loads(gzip.decompress(path.read_bytes()))
        except (OSError, EOFError, ValueError) as error:
            raise TraceError(f"{path}: not a readable trace ({error})") from error
        if not isinstance(payload, dict) or payload.get("format") != FORMAT_VERSION:
            raise TraceError(f"{path}: not a trace of format {FORMAT_VERSION}; trace again")
        try:
            trace = cls._from_content(payload)
        except (KeyError, TypeError, ValueError) as error:
            raise TraceError(
                f"{path}: a field of the trace is missing or wrong: {error}"
            ) from error
        if trace.digest() != payload.get("digest"):
            raise TraceError(f"{path}: content and digest differ; the file was damaged or edited")
        trace.verify()
        return trace

    def _content(self) -> dict[str, Any]:
        skipped = {"about", "tensors", "blocks"}
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        content["tensors"] = [asdict(tensor) for tensor in self.tensors]
        content["blocks"] = [
            {"repeats": block.repeats, "ops": [_op_content(op) for op in block.ops]}
            for block in self.blocks
        ]
        return content

    @classmethod
    def _from_content(cls, content: Mapping[str, Any]) -> Trace:
        return cls(
            model=content["model"],
            dtype=content["dtype"],
            batch=content["batch"],
            prompt_tokens=content["prompt_tokens"],
            new_tokens=content["new_tokens"],
            about=content["about"],
            tensors=tuple(
                Tensor(**{**t, "role": Role(t["role"]), "shape": tuple(t["shape"])})
                for t in content["tensors"]
            ),
            blocks=tuple(
                Block(ops=tuple(_op_from(o) for o in b["ops"]), repeats=b["repeats"])
                for b in content["blocks"]
            ),
        )


def _op_content(op: Op) -> dict[str, Any]:
    content = {f.name: getattr(op, f.name) for f in fields(op)}
    content["dims"] = dict(op.dims)
    content["reads"] = [[a.tensor, a.bytes, a.offset_bytes] for a in op.reads]
    content["writes"] = [[a.tensor, a.bytes, a.offset_bytes] for a in op.writes]
    return content


def _op_from(content: Mapping[str, Any]) -> Op:
    dims = content["dims"]
    family = Family(content["family"])
    return Op(
        **{
            **content,
            "family": family,
            "phase": Phase(content["phase"]),
            "dims": {key: dims[key] for key in FAMILY_DIMS[family]},
            "reads": tuple(Access(*a) for a in content["reads"]),
            "writes": tuple(Access(*a) for a in content["writes"]),
            "depends_back": tuple(content["depends_back"]),
        }
    )


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
