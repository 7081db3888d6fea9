"""The vector unit: padding to lanes and sublanes, and the slot that is needed most."""

import pytest
from tpu_cases import Builder, spec, tensor

from sim.lowering import LoweredOp
from sim.stalls import StallCause
from sim.tpu.machine import TpuMachine
from sim.tpu.vector import padded_registers
from workloads.trace import Family


@pytest.mark.parametrize(
    ("rows", "cols", "registers"),
    [(1, 1, 1), (8, 128, 1), (9, 128, 2), (8, 129, 2), (9, 129, 4), (20, 341, 9), (1, 768, 6)],
)
def test_registers_of_8_by_128_pad_both_extents(rows: int, cols: int, registers: int) -> None:
    assert padded_registers(spec("tpu-v3-core").vector, rows * cols, cols) == registers


def lowered(
    machine: str, family: Family, dims: dict[str, int], shape: tuple[int, ...], **op: int
) -> LoweredOp:
    build = Builder()
    source, result = tensor("in", *shape), tensor("out", *shape)
    make = build.elementwise((), source)
    operation = build.op(family, dims, (source,), result, **op)
    model = TpuMachine(spec(machine))
    model.start(build.trace(make, operation))
    model.lower(make, None)
    return model.lower(operation, None)


def test_a_softmax_on_the_toy_is_bound_by_its_one_alu() -> None:
    # 3 rows of 5 on 2 x 4: 4 registers; 75 flops and 15 exponentials on 15 elements, 6 a register
    softmax = lowered(
        "toy-4x4",
        Family.ROWWISE,
        {"rows": 3, "cols": 5, "passes": 3},
        (3, 5),
        flops=75,
        transcendentals=15,
    )
    assert softmax.uops.tolist() == [[0, 24 + 6]]
    assert softmax.stack.busy == 24
    assert softmax.stack.stalls == {StallCause.DATA_DEPENDENCY: 3 * 2}
    assert softmax.units["array"].idle == 30


def test_a_copy_is_bound_by_the_load_slot() -> None:
    copied = lowered("tpu-v3-core", Family.COPY, {"elements": 16 * 256}, (16, 256))
    assert copied.uops.tolist() == [[0, 4 + 2]]


def test_exponentials_are_bound_by_their_own_unit() -> None:
    exp = lowered(
        "tpu-v3-core",
        Family.ELEMENTWISE,
        {"elements": 16 * 256},
        (16, 256),
        flops=16 * 256,
        transcendentals=16 * 256,
    )
    assert exp.stack.busy == 4 * 2


def test_one_row_costs_as_much_as_eight() -> None:
    one, eight = (
        lowered("tpu-v3-core", Family.ELEMENTWISE, {"elements": n * 128}, (n, 128), flops=n * 128)
        for n in (1, 8)
    )
    assert one.main_cycles == eight.main_cycles == 3
