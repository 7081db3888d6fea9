"""Energy of runs: figures from the published table, laws, and what is missing."""

from dataclasses import replace

import pytest

from sim.energy import (
    ADD,
    MULTIPLY,
    SRAM_1_MIB_WORD,
    EnergyError,
    EnergySpec,
    NodeEnergy,
    run_energy,
)
from sim.lowering import DRAM
from sim.machine import load_machine
from sim.result import RunResult
from sim.run import run
from workloads.trace import Access, Block, Family, Op, Phase, Role, Tensor, Trace

SEVEN = EnergySpec(process_nanometres=7, memory_picojoules_per_bit=4, static_watts=50)


def trace(m: int = 256, *, dtype: str = "bfloat16") -> Trace:
    """One product and one addition."""
    n = k = 512
    shapes = {"x": (m, k), "w": (k, n), "y": (m, n)}
    tensors = tuple(
        Tensor(
            name=name,
            role=Role.WEIGHT if name == "w" else Role.ACTIVATION,
            shape=shape,
            dtype=dtype,
            address=0,
        )
        for name, shape in shapes.items()
    )
    x, w, y = (Access(index, tensor.bytes) for index, tensor in enumerate(tensors))
    common = {"dtype": dtype, "phase": Phase.PREFILL, "step": 0}
    product = Op(
        kind="matmul",
        family=Family.MATMUL,
        name="product",
        dims={"batch": 1, "m": m, "n": n, "k": k},
        flops=2 * m * n * k,
        reads=(x, w),
        writes=(y,),
        **common,
    )
    add = Op(
        kind="add",
        family=Family.ELEMENTWISE,
        name="add",
        dims={"elements": m * n},
        flops=m * n,
        reads=(y, y),
        writes=(y,),
        depends_back=(1,),
        **common,
    )
    return Trace(
        model="test",
        dtype=dtype,
        batch=1,
        prompt_tokens=m,
        new_tokens=1,
        tensors=tensors,
        blocks=(Block(ops=(product, add)),),
    )


def on_v4(m: int = 256) -> RunResult:
    return run(trace(m), load_machine("tpu-v4"))


def test_both_nodes_of_the_table_come_out_as_printed() -> None:
    for row in (*ADD.values(), *MULTIPLY.values(), SRAM_1_MIB_WORD):
        assert row.at(45) == pytest.approx(row.old)
        assert row.at(7) == pytest.approx(row.new)


def test_between_the_nodes_equal_ratios_of_size_give_equal_ratios_of_energy() -> None:
    row = NodeEnergy(16.0, 1.0)
    assert row.at((45 * 7) ** 0.5) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("dtype", "picojoules"),
    [("int8", 0.07 + 0.03), ("bfloat16", 0.21 + 0.38), ("float32", 1.31 + 0.38)],
)
def test_a_multiply_accumulate_adds_in_the_accumulators_format(
    dtype: str, picojoules: float
) -> None:
    assert SEVEN.mac_picojoules(dtype) == pytest.approx(picojoules)


def test_a_word_of_64_bits_is_eight_bytes() -> None:
    assert SEVEN.sram_picojoules_per_byte == pytest.approx(14 / 8)
    assert SEVEN.dram_picojoules_per_byte == pytest.approx(32)


def test_a_runs_parts_are_counts_times_the_energy_of_each() -> None:
    result, spec = on_v4(), load_machine("tpu-v4").spec
    (phase,) = run_energy(result, spec).phases
    parts = phase.joules_by_part
    assert parts["matrix arithmetic"] == pytest.approx(256 * 512 * 512 * 0.59e-12)
    assert parts["vector arithmetic"] == pytest.approx(256 * 512 * (0.38 + 1.31) / 2 * 1e-12)
    dram = sum(r.read_bytes + r.written_bytes for r in result.memory if r.name == DRAM)
    assert parts[DRAM] == pytest.approx(dram * 8 * 3.92e-12)
    assert parts["static"] == pytest.approx(90 * result.seconds)


def test_the_parts_add_up_and_none_is_negative() -> None:
    energy = run_energy(on_v4(), load_machine("tpu-v4").spec)
    (phase,) = energy.phases
    assert min(phase.joules_by_part.values()) > 0
    assert energy.joules == phase.joules == pytest.approx(sum(phase.joules_by_part.values()))
    assert phase.joules_per_token == pytest.approx(phase.joules / 256)
    assert energy.watts == pytest.approx(phase.joules / phase.seconds)
    assert energy.phase(Phase.DECODE) is None


def test_more_bytes_take_more_joules() -> None:
    result, spec = on_v4(), load_machine("tpu-v4").spec
    more = replace(
        result,
        memory=tuple(replace(row, read_bytes=row.read_bytes + 1000) for row in result.memory),
    )
    for before, after in zip(
        run_energy(result, spec).phases, run_energy(more, spec).phases, strict=True
    ):
        assert after.joules_by_part[DRAM] > before.joules_by_part[DRAM]
        assert after.joules_by_part["vmem"] > before.joules_by_part["vmem"]
        assert after.joules > before.joules


def test_a_large_product_draws_what_a_chip_at_work_was_measured_to_draw() -> None:
    # TPU v4: 170 W on average and 192 W at most (Jouppi et al., ISCA 2023, table 4); nothing here
    # was fitted to it, so this holds the order of magnitude only
    energy = run_energy(on_v4(16384), load_machine("tpu-v4").spec)
    assert 90 < energy.watts < 2 * 192


def test_a_machine_without_figures_is_an_error_that_says_what_to_add() -> None:
    machine = load_machine("tpu-v6e")
    with pytest.raises(EnergyError, match=r"tpu-v6e has no `energy:` block.*static_watts"):
        run_energy(run(trace(), machine), machine.spec)


def test_a_dtype_without_a_figure_is_an_error() -> None:
    with pytest.raises(EnergyError, match="no energy is known of a float64 product"):
        SEVEN.mac_picojoules("float64")
