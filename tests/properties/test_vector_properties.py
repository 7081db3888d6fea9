"""Laws of the vector unit and of energy, on random shapes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.energy import MULTIPLY, EnergySpec
from sim.machine import load_machine
from sim.tpu.array.systolic import ArraySpec, Gemm
from sim.tpu.energy import dataflows_by_energy
from sim.tpu.machine import TpuMachine
from sim.tpu.spec import TpuSpec
from sim.tpu.vector import VectorUnit, VectorWork
from workloads.trace import Access, Family, Op, Phase, Role, Tensor

NAMES = ("toy-4x4", "gemmini-like", "tpu-v3-core", "tpu-v4", "tpu-v6e")
extent = st.integers(min_value=1, max_value=700)
dtypes = st.sampled_from(["float32", "bfloat16", "int8"])
KINDS = {"softmax": (3, 5, 1), "rmsnorm": (2, 4, 0), "argmax": (1, 1, 0)}
"""Passes, operations an element, transcendentals an element."""


def machine(name: str, **overrides: Any) -> TpuMachine:
    model = load_machine(
        name, overrides={f"vector.{key}": value for key, value in overrides.items()}
    )
    assert isinstance(model, TpuMachine)
    return model


SPECS: dict[str, TpuSpec] = {name: machine(name).spec for name in NAMES}


def work(spec: TpuSpec, rows: int, cols: int, kind: str, dtype: str) -> tuple[Op, VectorWork]:
    """A row-wise operation over rows x cols, in place, and its needs."""
    passes, flops, functions = KINDS[kind]
    data = Tensor(name="x", role=Role.ACTIVATION, shape=(rows, cols), dtype=dtype, address=0)
    op = Op(
        kind=kind,
        family=Family.ROWWISE,
        name=kind,
        dims={"rows": rows, "cols": cols, "passes": passes},
        flops=flops * rows * cols,
        transcendentals=functions * rows * cols or rows,
        reads=(Access(0, data.bytes),),
        writes=(Access(0, data.bytes),),
        dtype=dtype,
        phase=Phase.PREFILL,
        step=0,
    )
    return op, VectorUnit(spec.vector, (data,)).work(op)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    rows=extent,
    cols=extent,
    kind=st.sampled_from(sorted(KINDS)),
    dtype=dtypes,
)
def test_no_operation_beats_the_arithmetic_slots_or_the_ports(
    name: str, rows: int, cols: int, kind: str, dtype: str
) -> None:
    spec = SPECS[name]
    vector = spec.vector
    op, needs = work(spec, rows, cols, kind, dtype)
    busy = needs.busy_cycles(vector)
    per_cycle = vector.register_elements * vector.alus_per_lane
    assert busy * per_cycle >= op.flops + op.transcendentals
    assert (
        busy * vector.loads_per_cycle * vector.register_bytes >= op.bytes_read * op.dims["passes"]
    )
    assert needs.slots(vector)[needs.limiting_slot(vector)] == busy
    assert min(needs.slots(vector).values()) >= 0
    assert needs.latency_cycles(vector) > 0


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    rows=extent,
    cols=extent,
    more=st.integers(0, 200),
    kind=st.sampled_from(sorted(KINDS)),
    dtype=dtypes,
)
def test_more_rows_or_columns_are_never_faster(
    *, name: str, rows: int, cols: int, more: int, kind: str, dtype: str
) -> None:
    spec = SPECS[name]

    def cycles(rows: int, cols: int) -> int:
        needs = work(spec, rows, cols, kind, dtype)[1]
        return needs.busy_cycles(spec.vector) + needs.latency_cycles(spec.vector)

    least = cycles(rows, cols)
    assert cycles(rows + more, cols) >= least
    assert cycles(rows, cols + more) >= least


@settings(max_examples=20, deadline=None)
@given(rows=extent, cols=extent, kind=st.sampled_from(sorted(KINDS)))
def test_a_unit_that_has_more_of_anything_is_never_slower(rows: int, cols: int, kind: str) -> None:
    few = SPECS["tpu-v3-core"]
    needs = work(few, rows, cols, kind, "bfloat16")[1].busy_cycles(few.vector)
    for change in ({"alus_per_lane": 4}, {"loads_per_cycle": 2}, {"stores_per_cycle": 2}):
        more = few.vector.model_copy(update=change)
        spec = few.model_copy(update={"vector": more})
        assert work(spec, rows, cols, kind, "bfloat16")[1].busy_cycles(more) <= needs


@settings(max_examples=60, deadline=None)
@given(
    m=extent,
    n=extent,
    k=extent,
    rows=st.integers(1, 64),
    cols=st.integers(1, 64),
    node=st.integers(5, 90),
    dtype=st.sampled_from(sorted(MULTIPLY)),
    more=st.integers(0, 300),
)
def test_energy_is_positive_adds_up_and_grows_with_the_product(
    *, m: int, n: int, k: int, rows: int, cols: int, node: int, dtype: str, more: int
) -> None:
    spec = EnergySpec(process_nanometres=node, memory_picojoules_per_bit=3.9, static_watts=1)
    array = ArraySpec(rows=rows, cols=cols)

    def ranked(gemm: Gemm) -> tuple[float, ...]:
        each = dataflows_by_energy(array, gemm, spec, dtype=dtype, clock_hz=10**9)
        for row in each:
            assert min(row.picojoules_by_part.values()) > 0
            assert row.picojoules == sum(row.picojoules_by_part.values())
            assert row.sram_bytes >= row.dram_bytes // 4  # each operand crosses the edge once
        return tuple(row.picojoules for row in each)

    small = ranked(Gemm(m=m, n=n, k=k))
    assert small == tuple(sorted(small))
    for grown in (
        Gemm(m=m + more, n=n, k=k),
        Gemm(m=m, n=n + more, k=k),
        Gemm(m=m, n=n, k=k + more),
    ):
        assert ranked(grown)[0] >= small[0]
