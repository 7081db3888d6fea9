import re

import pytest

from sim.cpu.isa import FUSED, Kind
from sim.cpu.kernels import Flavour, matrix_kernel, pass_body
from sim.cpu.passes import Visit
from sim.cpu.programs import panels

SCALAR = Flavour("float32", 1)
VECTOR = Flavour("float32", 8)


def fused(body):
    return sum(instruction.mnemonic in FUSED for instruction in body)


@pytest.mark.parametrize(
    ("name", "flavour", "macs"),
    [
        ("gemm_1x1", SCALAR, 1),
        ("gemm_1x4", SCALAR, 1 * 4),
        ("gemm_4x4", SCALAR, 4 * 4),
        ("gemm_vector_1x1", VECTOR, 1 * 8),
        ("gemm_vector_1x2", VECTOR, 1 * 16),
        ("gemm_vector_4x1", VECTOR, 4 * 8),
        ("gemm_vector_4x2", VECTOR, 4 * 16),
    ],
)
def test_a_matrix_kernel_does_its_tile_s_multiply_adds_for_each_k(name, flavour, macs):
    kernel = matrix_kernel(name, flavour)
    assert fused(kernel["loop"]) * flavour.lanes == macs
    stores = sum(i.bytes for i in kernel["epilogue"] if i.kind is Kind.STORE)
    assert stores == macs * 4
    assert not fused(kernel["prologue"]) + fused(kernel["epilogue"])


@pytest.mark.parametrize("name", ["gemm_4x4", "gemm_vector_4x2"])
def test_pointers_step_over_exactly_what_a_round_loads(name):
    flavour = VECTOR if "vector" in name else SCALAR
    body = matrix_kernel(name, flavour)["loop"]
    for base in (10, 11):
        loaded = sum(i.bytes for i in body if i.base == base)
        assert sum(i.immediate for i in body if i.steps_base and i.dest == base) == loaded


@pytest.mark.parametrize("lanes", [1, 4, 8])
@pytest.mark.parametrize("m", [1, 3, 4, 5, 16, 33])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 31, 341])
def test_tiles_cover_each_element_of_c_once(m, n, lanes):
    covered = sum(
        panel.count * panel.columns * rows * count
        for panel in panels(m, n, lanes)
        for rows, count in panel.row_blocks
    )
    assert covered == m * n


def test_half_precision_is_converted_after_each_load_and_before_each_store():
    kernel = matrix_kernel("gemm_1x4", Flavour("float16", 1))
    mnemonics = [i.mnemonic for i in kernel["loop"]]
    assert mnemonics[:4] == ["flh", "fcvt.s.h"] * 2
    assert [i.mnemonic for i in kernel["epilogue"]][:2] == ["fcvt.h.s", "fsh"]
    assert sum(i.bytes for i in kernel["loop"]) == 5 * 2


def visit(**changes):
    return Visit(
        **{"reads": 2, "flops": 3, "transcendentals": 0, "writes": 1, "reduces": False} | changes
    )


@pytest.mark.parametrize("flavour", [SCALAR, VECTOR])
@pytest.mark.parametrize("unroll", [1, 4])
def test_a_pass_does_an_element_s_flops_loads_and_stores(flavour, unroll):
    body = pass_body(visit(), flavour, unroll=unroll)
    count = {kind: sum(i.kind is kind for i in body) for kind in Kind}
    assert (count[Kind.FP], count[Kind.LOAD], count[Kind.STORE], count[Kind.BRANCH]) == (
        3 * unroll,
        2 * unroll,
        unroll,
        1,
    )
    for base in (10, 11, 14):
        stepped = sum(i.immediate for i in body if i.steps_base and i.dest == base)
        assert stepped == unroll * flavour.lanes * 4


def test_an_exponential_is_the_17_instructions_of_cephes():
    lengths = [
        len(pass_body(visit(transcendentals=count), SCALAR, unroll=1)) for count in (0, 1, 2)
    ]
    assert lengths[1] - lengths[0] == lengths[2] - lengths[1] == 17


def test_neighbouring_elements_share_no_register_that_is_written():
    body = pass_body(visit(transcendentals=1), SCALAR, unroll=4)
    values = [i.dest for i in body if re.match("f", i.mnemonic) and i.dest is not None]
    assert len({register // 4 for register in values if register >= 32}) == 4
