"""The chips by name: their published peaks, and what each refuses."""

from fractions import Fraction

import pytest
from tpu_cases import Builder, spec, tensor

from sim.errors import SpecError, UnsupportedOpError
from sim.machine import load_machine
from sim.tpu.machine import TpuMachine
from workloads.trace import Family, Role

CHIPS = ("tpu-v1", "tpu-v2-core", "tpu-v3-core", "tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e")
SMALL = ("eyeriss-like", "gemmini-like", "toy-4x4")


@pytest.mark.parametrize(
    ("chip", "dtype", "published"),
    [
        ("tpu-v1", "int8", 92e12),
        ("tpu-v2-core", "bfloat16", 46e12 / 2),
        ("tpu-v3-core", "bfloat16", 123e12 / 2),
        ("tpu-v4", "bfloat16", 275e12),
        ("tpu-v4", "int8", 275e12),
        ("tpu-v5e", "bfloat16", 197e12),
        ("tpu-v5e", "int8", 393e12),
        ("tpu-v5p", "bfloat16", 459e12),
        ("tpu-v5p", "int8", 918e12),
        ("tpu-v6e", "bfloat16", 918e12),
        ("tpu-v6e", "int8", 1836e12),
    ],
)
def test_clock_and_arrays_give_the_published_peak_to_half_a_percent(
    chip: str, dtype: str, published: float
) -> None:
    peaks = TpuMachine(spec(chip)).peaks()
    assert peaks.matmul_flops_per_second[dtype] == pytest.approx(published, rel=5e-3)


@pytest.mark.parametrize("name", [*CHIPS, *SMALL])
def test_every_machine_of_the_family_loads_by_name(name: str) -> None:
    machine = load_machine(name)
    assert machine.spec.name == name
    assert machine.spec.kind == ("chip" if name in CHIPS else "teaching")


def test_packed_operands_enter_several_rows_a_cycle() -> None:
    arrays = spec("tpu-v5e").arrays
    assert arrays.macs_per_cycle("int8") == 2 * arrays.macs_per_cycle("bfloat16") == 2 * 4 * 128**2
    toy = spec("toy-4x4", arrays__cycles_per_row={"float32": 3}).arrays
    assert toy.macs_per_cycle("float32") == Fraction(16, 3)


def test_a_packed_product_streams_in_half_the_cycles_rounded_up() -> None:
    build = Builder()
    x, y = tensor("x", 11, 4), tensor("y", 11, 4)
    product = build.matmul(x, tensor("w", 4, 4, role=Role.WEIGHT), y)
    machine = TpuMachine(spec("toy-4x4", arrays__rows_per_cycle={"float32": 2}))
    machine.start(build.trace(product))
    assert machine.lower(product, None).main_cycles == 4 + 6 + 6  # load, 11 rows in pairs, cross


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arrays__cycles_per_row": {"floaf32": 1}}, r"no dtype is named 'floaf32'; did you mean"),
        ({"arrays__rows_per_cycle": {"int8": 2}}, "for which cycles_per_row has none"),
        (
            {
                "arrays__cycles_per_row": {"float32": 3},
                "arrays__rows_per_cycle": {"float32": 2},
            },
            "a rate is a whole number",
        ),
    ],
)
def test_an_impossible_rate_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec("toy-4x4", **change)


def test_an_int8_chip_refuses_floating_point_and_says_what_would_help() -> None:
    build = Builder()
    a, b, c = (tensor(name, 8, 8, dtype="bfloat16") for name in "abc")
    machine = TpuMachine(spec("tpu-v1"))
    with pytest.raises(
        UnsupportedOpError, match=r"int8 alone \(a model must be quantised throughout\)"
    ):
        machine.start(build.trace(build.matmul(a, b, c)))


def test_an_int8_chip_runs_int8_products_and_activations() -> None:
    build = Builder()
    a, c = tensor("a", 512, 256, dtype="int8"), tensor("c", 512, 256, dtype="int8")
    b = tensor("b", 256, 256, role=Role.WEIGHT, dtype="int8")
    make, product = build.elementwise((), a), build.matmul(a, b, c)
    relu = build.op(Family.ELEMENTWISE, {"elements": 512 * 256}, (c,), c, flops=512 * 256)
    machine = TpuMachine(spec("tpu-v1"))
    machine.start(build.trace(make, product, relu))
    machine.lower(make, None)
    # 256 cycles to shift the tile in, 512 rows, 510 until the last has crossed
    assert machine.lower(product, None).main_cycles == 256 + 512 + 510
    # 512 registers of 256: one operation, one to widen four rows in one, one to narrow
    assert machine.lower(relu, None).stack.busy == 512 + 512 + 128


def test_a_megacore_is_two_cores_of_everything() -> None:
    v4, core = spec("tpu-v4"), spec("tpu-v3-core")
    assert v4.arrays.count == 2 * 4
    assert v4.vector.alus_per_lane == 2 * core.vector.alus_per_lane
    assert v4.scratchpad.capacity_bytes == 2 * core.scratchpad.capacity_bytes
