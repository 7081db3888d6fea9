"""Measured operations of real chips: matrix products and attention, one trace for each row.

A row of a product becomes one operation, a row of attention three (scores, softmax, mix), lowered
on the chip that the row names. What was measured is a kernel of a library, or part of a fused
program inside a model, so that errors are reported and not bounded: a row passes when it could be
simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod

from sim.errors import CapacityError, UnsupportedOpError
from sim.lowering import MachineModel
from sim.machine import load_machine
from sim.run import run
from sim.validation.suite import RowOutcome
from sim.validation.table import TableRow
from workloads.trace import Access, Block, Family, Op, Phase, Role, Tensor, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """The machine that stands for a device of the tables."""

    machine: str
    overrides: tuple[tuple[str, str], ...] = ()
    """Values of its description that the way of measuring sets aside."""


TPUS: Mapping[str, Chip] = {
    "TPU_v1": Chip(machine="tpu-v1"),
    "TPU_v4": Chip(machine="tpu-v4"),
    "TPU_v5e": Chip(machine="tpu-v5e"),
    "TPU_v5p": Chip(machine="tpu-v5p"),
    "TPU_v6e": Chip(machine="tpu-v6e"),
}
"""Devices of one chip each, as the tables call them. The cores of a TPU v2 or v3 are programmed
apart, and the tables do not say whether one or both were measured."""

_A100 = Chip(
    machine="gpu-a100-sxm-80gb",
    # kernels are timed on the device, or replayed from a graph: the host's launches do not count
    overrides=(("launch.host_interval_ticks", "0 us"),),
)
GPUS: Mapping[str, Chip] = {"A100_SXM_80GB": _A100, "A100_80GB": _A100}
"""The second name is of tables that do not say which A100 was measured."""

DTYPES: Mapping[str, str] = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp32": "float32",
    "int8": "int8",
}
"""Element types, as the tables call them and as traces do."""

GEMM_COLUMNS = ("m", "n", "k", "latency_us")
ATTENTION_COLUMNS = ("phase", "batch", "q_len", "kv_len", "q_heads", "kv_heads", "head_dim")
ATTENTION_PHASES = ("prefill", "prefill_chunk", "decode")

SUSPECT = "SUSPECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSuite:
    """Measured products, and attention, of some devices; rows of other devices are skipped.

    Models: a product as one operation with its left operand and its weights in main memory;
    attention as scores, softmax and mix, with query, keys and values in main memory; a prefill as
    one that is given its chunk of queries and attends to all `kv_len` positions.
    Ignores: fusion with neighbouring operations, of which the measured programs are made;
    attention on GPUs, whose fused kernels are another trace; operands that a benchmark's repetition
    leaves in a cache; host and framework time in rows that were timed from outside; positions that
    a causal mask leaves out; rows of the other tables of the folder (servers, several chips).
    Source: rows say theirs; TPU v6e: profiler tables of LLMServingSim,
    https://github.com/casys-kaist/LLMServingSim; A100: aiconfigurator-core 0.12.0, Vidur
    (https://github.com/microsoft/vidur), LLMCompass.
    """

    name: str
    devices: Mapping[str, Chip]
    attention: bool
    """Whether rows of attention are compared, too."""
    pattern: str = "*.csv"
    columns: tuple[str, ...] = ("device", "dtype")
    quantity: str = "microseconds"
    bound: str = "errors are reported, none is bounded; every row must be simulated"

    def outcome(self, row: TableRow) -> RowOutcome | None:
        """Simulate one row, None where it is of another device or form; SpecError if unreadable."""
        chip = self.devices.get(row.values["device"].strip())
        if chip is None:
            return None
        if all(column in row.values for column in GEMM_COLUMNS):
            case = _gemm(row)
        elif self.attention and all(column in row.values for column in ATTENTION_COLUMNS):
            case = _attention(row)
        else:
            return None
        reference = row.real("latency_us")
        note = SUSPECT if SUSPECT in row.values.get("note", "") else ""
        if case.problem:
            return _unsupported(case.label, reference, case.problem)
        assert case.trace is not None  # noqa: S101 - a case without a problem has a trace
        try:
            simulated = run(case.trace, _machine(chip)).seconds * 1e6
        except (UnsupportedOpError, CapacityError) as error:
            return _unsupported(case.label, reference, str(error))
        return RowOutcome(
            label=case.label,
            reference=reference,
            simulated=simulated,
            error=(simulated - reference) / reference,
            status="ok",
            note=note,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    label: str
    trace: Trace | None = None
    problem: str = ""


def _unsupported(label: str, reference: float, why: str) -> RowOutcome:
    return RowOutcome(
        label=label,
        reference=reference,
        simulated=None,
        error=None,
        status="unsupported",
        note=why,
    )


@cache
def _machine(chip: Chip) -> MachineModel:
    """Read a description once; every run starts the machine anew."""
    return load_machine(chip.machine, overrides=dict(chip.overrides))


def _gemm(row: TableRow) -> _Case:
    m, n, k = (row.whole(column, least=1) for column in ("m", "n", "k"))
    label = f"{row.text('device')} {row.text('dtype')} {m}x{n}x{k}"
    dtype = DTYPES.get(row.text("dtype"))
    if dtype is None:
        return _Case(label=label, problem=f"no element type of traces is '{row.text('dtype')}'")
    build = _Builder(dtype, Phase.DECODE)
    a = build.tensor("a", Role.ACTIVATION, m, k)
    b = build.tensor("b", Role.WEIGHT, k, n)
    build.product("product", (a, b), build.tensor("c", Role.ACTIVATION, m, n), 1, m, n, k)
    return _Case(label=label, trace=build.trace(batch=1, tokens=m))


def _attention(row: TableRow) -> _Case:
    batch, queries, context, heads, groups, width = (
        row.whole(column, least=1) for column in ATTENTION_COLUMNS[1:]
    )
    phase = row.text("phase")
    label = (
        f"{row.text('device')} {row.text('dtype')} {phase} {batch}x{queries} at {context}, "
        f"{heads}/{groups}x{width}"
    )
    dtype = DTYPES.get(row.text("dtype"))
    if dtype is None or row.values.get("kv_dtype", row.text("dtype")) != row.text("dtype"):
        return _Case(label=label, problem="element types of queries or cache are not traces'")
    if phase not in ATTENTION_PHASES or heads % groups:
        return _Case(label=label, problem=f"phase '{phase}' with {heads} heads on {groups}")
    together = batch * groups
    rows = heads // groups * queries
    build = _Builder(dtype, Phase.DECODE if phase == "decode" else Phase.PREFILL)
    q = build.tensor("q", Role.ACTIVATION, together, rows, width)
    k = build.tensor("k", Role.KV_CACHE, together, context, width)
    v = build.tensor("v", Role.KV_CACHE, together, context, width)
    scores = build.tensor("scores", Role.ACTIVATION, together, rows, context)
    mixed = build.tensor("mixed", Role.ACTIVATION, together, rows, width)
    build.product("scores", (q, k), scores, together, rows, context, width)
    build.softmax(scores, together * rows, context)
    build.product("mix", (scores, v), mixed, together, rows, width, context)
    return _Case(label=label, trace=build.trace(batch=batch, tokens=queries))


class _Builder:
    """Collects the tensors and operations of one step."""

    def __init__(self, dtype: str, phase: Phase) -> None:
        self.dtype = dtype
        self.phase = phase
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []

    def tensor(self, name: str, role: Role, *shape: int) -> int:
        """Add a tensor behind the others in memory; return its index."""
        last = self.tensors[-1] if self.tensors else None
        address = last.address + last.bytes if last else 0
        self.tensors.append(
            Tensor(name=name, role=role, shape=shape, dtype=self.dtype, address=address)
        )
        return len(self.tensors) - 1

    def product(  # noqa: PLR0917 - extents in the order of `Op.dims`
        self, name: str, reads: tuple[int, int], write: int, batch: int, m: int, n: int, k: int
    ) -> None:
        """Add batch independent products."""
        dims = {"batch": batch, "m": m, "n": n, "k": k}
        self._add(name, "matmul", Family.MATMUL, dims, reads, write, 2 * prod(dims.values()), 0)

    def softmax(self, scores: int, rows: int, cols: int) -> None:
        """Add a softmax in place."""
        dims = {"rows": rows, "cols": cols, "passes": 3}
        size = rows * cols
        self._add("softmax", "softmax", Family.ROWWISE, dims, (scores,), scores, 5 * size, size)

    def _add(  # noqa: PLR0917 - called right above
        self,
        name: str,
        kind: str,
        family: Family,
        dims: Mapping[str, int],
        reads: tuple[int, ...],
        write: int,
        flops: int,
        transcendentals: int,
    ) -> None:
        self.ops.append(
            Op(
                kind=kind,
                family=family,
                name=name,
                dims=dims,
                flops=flops,
                transcendentals=transcendentals,
                reads=tuple(Access(index, self.tensors[index].bytes) for index in reads),
                writes=(Access(write, self.tensors[write].bytes),),
                depends_back=(1,) if self.ops else (),
                dtype=self.dtype,
                phase=self.phase,
                step=0 if self.phase is Phase.PREFILL else 1,
            )
        )

    def trace(self, *, batch: int, tokens: int) -> Trace:
        """Return the step as a trace of its own."""
        return Trace(
            model="measured row",
            dtype=self.dtype,
            batch=batch,
            prompt_tokens=tokens,
            new_tokens=2,
            tensors=tuple(self.tensors),
            blocks=(Block(ops=tuple(self.ops)),),
        )
