"""From a trace to a result on a machine simple enough to follow by hand."""

from dataclasses import replace

import machine_double
import numpy as np
import pytest

from sim.errors import CapacityError, LawViolationError
from sim.laws import check
from sim.result import Shares
from sim.run import run
from sim.stalls import CycleStack, StallCause
from workloads.trace import Phase

# A product needs 5 cycles of DMA, an addition 1; the core works 2 on each. Steady, a layer takes
# 5 + 1 + 2 cycles minus what overlaps: the DMA is always behind, so the core waits for it.
#   dma : 0-5 | 5-6 | 7-12 ...  (uop 1 is held until the core has done uop 0, at 7)
#   core: 5-7 | 7-9 | 12-14 ...
PREFILL_CYCLES = 23


@pytest.fixture(name="result")
def result_fixture():
    return run(machine_double.trace(), machine_double.machine())


def test_a_step_takes_what_its_pipeline_takes(result):
    assert result.phase(Phase.PREFILL).cycles == PREFILL_CYCLES
    assert result.phase(Phase.DECODE).cycles == PREFILL_CYCLES
    assert result.cycles == 2 * PREFILL_CYCLES


def test_an_operations_time_runs_from_the_end_of_the_one_before(result):
    product, addition = result.ops[:2]
    assert (product.name, product.index, product.count, product.cycles) == ("project", 0, 3, 17)
    assert (addition.name, addition.index, addition.count, addition.cycles) == ("add", 1, 3, 6)
    assert result.ops[2].index == 6


def test_waiting_for_bytes_is_told_from_filling(result):
    product = result.ops[0]
    assert product.stack == CycleStack(
        busy=3,
        stalls={StallCause.DRAM: 3, StallCause.FILL_DRAIN: 5, StallCause.BANDWIDTH: 6},
    )


def test_every_unit_accounts_for_every_cycle(result):
    assert {unit.name for unit in result.units} == {"matmul", "add", "dma"}
    for unit in result.units:
        assert unit.stack.total == result.cycles
    assert {u.name: u.stack.busy for u in result.units} == {"matmul": 12, "add": 12, "dma": 36}


def test_layers_in_a_known_state_are_lowered_once_and_counted_as_replayed():
    machine = machine_double.machine()
    result = run(machine_double.trace(), machine)
    assert machine.lowered_ops == 4  # two operations a step; the other layers follow
    waits = result.cycles - 24
    assert result.shares == Shares(simulated_cycles=4 + waits, replayed_cycles=20)


def test_tokens_are_those_of_all_sequences(result):
    assert result.phase(Phase.PREFILL).tokens == 6
    assert result.phase(Phase.DECODE).tokens == 2


def test_limits_come_from_the_trace_and_the_peaks_alone(result):
    assert result.phase(Phase.PREFILL).limits == {
        "matrix arithmetic": 3,
        "vector arithmetic": 3,
        "bandwidth": 15,
        "launch": 0,
    }


def test_the_same_input_gives_the_same_digest_on_either_engine(result):
    for engine in ("simpy", "compiled"):
        again = run(machine_double.trace(), machine_double.machine(), engine=engine)
        assert again.digest() == result.digest()


def test_a_model_that_does_not_fit_is_refused_with_what_it_needs():
    machine = machine_double.machine()
    machine.spec = machine.spec.model_copy(
        update={"memory": machine.spec.memory.model_copy(update={"capacity_bytes": 15})}
    )
    with pytest.raises(CapacityError, match="take a smaller dtype, batch or model"):
        run(machine_double.trace(), machine)


def test_progress_counts_steps():
    seen = []
    run(
        machine_double.trace(),
        machine_double.machine(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def broken(result, part):
    """Return the result with one impossible value."""
    prefill = result.phases[0]
    return {
        "unit": lambda: replace(
            result, units=(replace(result.units[0], stack=CycleStack(busy=1)), *result.units[1:])
        ),
        "operation": lambda: replace(
            result, ops=(replace(result.ops[0], cycles=1), *result.ops[1:])
        ),
        "phase": lambda: replace(
            result, phases=(replace(prefill, stack=CycleStack(busy=1)), *result.phases[1:])
        ),
        "limit": lambda: replace(
            result,
            phases=(replace(prefill, limits={"bandwidth": 10**9}), *result.phases[1:]),
        ),
    }[part]()


@pytest.mark.parametrize(
    ("part", "law"),
    [
        ("unit", "unit matmul accounts for 1 of 46 cycles"),
        ("operation", "operation project at 0 does not conserve"),
        ("phase", "operations of prefill do not sum"),
        ("limit", "less than the 1000000000 that bandwidth needs"),
    ],
)
def test_a_broken_law_stops_the_run_and_names_the_culprit(result, part, law):
    with pytest.raises(LawViolationError, match=law):
        check(broken(result, part), 0)


def test_reading_less_than_the_compulsory_bytes_is_a_broken_law(result):
    read = sum(op.dram_read_bytes for op in result.ops)
    check(result, read)
    with pytest.raises(LawViolationError, match="fewer than"):
        check(result, read + 1)


def test_a_machine_that_lowers_the_same_operation_differently_is_caught():
    class Moody(machine_double.ByHandMachine):
        built = 0

        def __init__(self, spec):
            super().__init__(spec)
            Moody.built += 1
            self.mood = Moody.built

        def lower(self, op, layer):
            lowered = super().lower(op, layer)
            return replace(lowered, uops=np.add(lowered.uops, [[self.mood, 0]]))

    with pytest.raises(LawViolationError, match="lowered differently"):
        run(machine_double.trace(), Moody(machine_double.machine().spec))


def test_what_a_unit_does_beside_other_operations_is_busy_and_not_idle():
    class Overlapping(machine_double.ByHandMachine):
        def lower(self, op, layer):
            lowered = super().lower(op, layer)
            return replace(lowered, hidden={"matmul": 1}) if op.kind == "add" else lowered

    plain = run(machine_double.trace(), machine_double.machine())
    overlapping = run(machine_double.trace(), Overlapping(machine_double.machine().spec))
    before, after = (
        next(unit.stack for unit in result.units if unit.name == "matmul")
        for result in (plain, overlapping)
    )
    assert (after.busy - before.busy, before.idle - after.idle) == (6, 6)
    assert after.total == before.total == overlapping.cycles
