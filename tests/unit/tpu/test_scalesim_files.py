"""SCALE-Sim's files: what they say, what is wrong with them, and what comes out."""

import io
from dataclasses import replace

import pytest

from sim.errors import CapacityError, SpecError
from sim.tpu.array.systolic import ArraySpec, Dataflow, Gemm
from sim.tpu.memory.blocks import Operand
from sim.tpu.scalesim.config import ScaleSimConfig, read_config
from sim.tpu.scalesim.layers import (
    COMPUTE_COLUMNS,
    run_layer,
    run_layers,
    sram_words,
    write_bandwidth_report,
    write_compute_report,
)
from sim.tpu.scalesim.topology import Layer, read_topology

CONFIG = """\
[general]
run_name = GoogleTPU_v1_ws

[architecture_presets]
ArrayHeight:    256
ArrayWidth:     128
IfmapSramSzkB:    6144
FilterSramSzkB:   4096
OfmapSramSzkB:    2048
IfmapOffset:    0
FilterOffset:   10000000
OfmapOffset:    20000000
Dataflow : ws
Bandwidth : 10
ReadRequestBuffer: 512

[layout]
IfmapCustomLayout: False

[sparsity]
SparsitySupport : false
BlockSize : 8

[run_presets]
InterfaceBandwidth: USER
UseRamulatorTrace: False
"""


def config(**changes: object) -> ScaleSimConfig:
    """An array of 4 x 4 with a kilobyte of each SRAM."""
    small = ScaleSimConfig(
        run_name="small",
        array=ArraySpec(rows=4, cols=4),
        ifmap_sram_bytes=1024,
        filter_sram_bytes=1024,
        ofmap_sram_bytes=1024,
    )
    return replace(small, **changes)


@pytest.fixture
def written(tmp_path):
    """Write a text where it can be read."""

    def write(text: str, name: str = "a.cfg"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_configuration_is_read_in_base_units(written) -> None:
    assert read_config(written(CONFIG)) == ScaleSimConfig(
        run_name="GoogleTPU_v1_ws",
        array=ArraySpec(rows=256, cols=128, dataflow=Dataflow.WEIGHT_STATIONARY),
        ifmap_sram_bytes=6144 * 1024,
        filter_sram_bytes=4096 * 1024,
        ofmap_sram_bytes=2048 * 1024,
        bandwidth_bytes_per_cycle=10,
    )


def test_several_interfaces_add_up_and_calc_has_none(written) -> None:
    several = CONFIG.replace("Bandwidth : 10", "Bandwidth : 10, 20,30")
    assert read_config(written(several)).bandwidth_bytes_per_cycle == 60
    free = read_config(written(CONFIG.replace("USER", "CALC")))
    assert free.bandwidth_bytes_per_cycle is None


@pytest.mark.parametrize("mode", ["USER", "CALC"])
def test_a_configuration_that_is_written_reads_the_same(written, mode: str) -> None:
    once = read_config(written(CONFIG.replace("USER", mode)))
    assert read_config(written(once.text())) == once


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ArrayWidth:", "ArayWidth:", "line 6: key 'ArayWidth': unknown in .* mean 'ArrayWidth'"),
        (
            "ArrayWidth:     128\n",
            "",
            "key 'ArrayWidth' is missing",
        ),
        ("128", "wide", "line 6: key 'ArrayWidth': 'wide' is not a whole number"),
        ("128", "0", "line 6: key 'ArrayWidth': is 0; it should be at least 1"),
        ("Dataflow : ws", "Dataflow : rs", "line 13: key 'Dataflow': no dataflow 'rs'"),
        ("[layout]", "[layuot]", r"line 17: no section \[layuot\]; did you mean 'layout'"),
        ("Bandwidth : 10", "Bandwidth : 10,x", "line 14: key 'Bandwidth': 'x' is not a whole"),
        ("Bandwidth : 10\n", "", "key 'Bandwidth' is missing"),
        ("USER", "user", "key 'InterfaceBandwidth': is 'user'; it should be CALC or USER"),
        ("BlockSize : 8", "BlockSize 8", "line 22: 'BlockSize 8' is no `key : value`"),
        ("BlockSize : 8", "sparsitysupport : no", "line 22: .* is there twice, first in line 21"),
        ("SparsitySupport : false", "SparsitySupport : true", "line 21: .*not modelled here"),
        ("Trace: False", "Trace: True", "key 'UseRamulatorTrace': 'True': not modelled here"),
        (
            "CustomLayout: False",
            "CustomLayout: maybe",
            "'IfmapCustomLayout': 'maybe': not modelled",
        ),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said_with_file_line_and_key(
    written, old: str, new: str, message: str
) -> None:
    path = written(CONFIG.replace(old, new, 1))
    with pytest.raises(SpecError, match=message) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_config(tmp_path / "none.cfg")


def test_products_and_convolutions_are_told_apart_by_the_header(written) -> None:
    products = read_topology(written("Layer, M, N, K,\nfirst, 4, 5, 6,\nheads, 1, 2, 3, 8,\n"))
    assert products == [
        Layer(name="first", gemm=Gemm(m=4, n=5, k=6)),
        Layer(name="heads", gemm=Gemm(m=1, n=2, k=3), batch=8),
    ]
    head = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels,"
    head += " Num Filter, Strides,\n"
    first, deep, uneven = read_topology(
        written(
            head + "Conv1,224,224,7,7,3,64,2,\n\nDP2,8,8,3,3,16,1,1, 1:1,\nwide,9,10,3,4,2,5,2,3,\n"
        )
    )
    assert (first.gemm, first.batch) == (Gemm(m=110 * 110, n=64, k=147), 1)  # ceil(219 / 2)
    assert (deep.gemm, deep.batch) == (Gemm(m=36, n=1, k=9), 16)
    assert uneven.gemm == Gemm(m=4 * 3, n=5, k=24)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,1,2,", "line 2: 3 values; a layer needs its name, M, N, K"),
        ("a,1,2,x,", "line 2: key 'K': 'x' is not a whole number"),
        ("a,1,2,3,0,", "line 2: key 'batch': is 0"),
        ("a,1,2,3,2:4,", "line 2: key 'sparsity': '2:4': sparse filters are not modelled here"),
        ("a,1,2,3,1:1:1,", "line 2: key 'sparsity': '1:1:1' is no ratio"),
        ("", "no layers; the first line is the header"),
    ],
)
def test_what_is_wrong_with_a_layer_is_said_with_file_line_and_column(
    written, row: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        read_topology(written(f"Layer, M, N, K\n{row}\n"))


def test_a_window_larger_than_its_input_is_refused(written) -> None:
    with pytest.raises(SpecError, match="key 'filter width': is 5, larger than the IFMAP's 4"):
        read_topology(written("Layer,h,w,r,s,c,f,t\na,4,4,3,5,1,1,1,\n"))


@pytest.mark.parametrize(
    ("flow", "cycles"), [("ws", 4 * (9 + 10)), ("is", 6 * (7 + 10)), ("os", 6 * (5 + 6))]
)
def test_without_a_memory_a_layer_takes_the_peer_s_serial_folds(flow: str, cycles: int) -> None:
    array = ArraySpec(rows=4, cols=4, dataflow=Dataflow(flow))
    result = run_layer(config(array=array), Layer(name="a", gemm=Gemm(m=9, n=7, k=5)))
    assert result.plan.total_cycles == result.busy_cycles == cycles
    assert result.compute_row["Stall Cycles"] == 0


def test_a_bandwidth_adds_the_first_arrival_the_waits_and_the_last_departure() -> None:
    layer = Layer(name="a", gemm=Gemm(m=8, n=8, k=4))
    result = run_layer(config(bandwidth_bytes_per_cycle=2), layer)
    # folds of 4 + 8 + 6; A and B 48 bytes, B 16, and 32 of results after each
    row = result.compute_row
    assert row["Total Cycles (incl. prefetch)"] == 24 + 18 + 18 + 16
    assert (row["Total Cycles"], row["Stall Cycles"]) == (36, 0)
    slow = run_layer(config(bandwidth_bytes_per_cycle=1), replace(layer, gemm=Gemm(m=8, n=12, k=4)))
    # the third fold's B, and what the first made, take 48 cycles, in 18 of which the second works
    assert slow.compute_row["Stall Cycles"] == 48 - 18
    assert slow.busy_cycles == 3 * 18 + 30


def test_rows_that_do_not_fit_stream_in_parts_of_one_fold() -> None:
    layer = Layer(name="a", gemm=Gemm(m=4000, n=4, k=4))
    result = run_layer(config(bandwidth_bytes_per_cycle=8), layer)
    assert result.plan.nest.tiles["m"] == 32  # 128 or fewer rows of 4 bytes, twice in a kilobyte
    assert result.plan.compute_cycles == 4000 + 10


def test_a_fold_that_does_not_fit_is_refused_with_its_layer() -> None:
    wide = ArraySpec(rows=64, cols=64)
    layer = Layer(name="big", gemm=Gemm(m=64, n=128, k=128))
    with pytest.raises(CapacityError, match="layer 'big': operand b"):
        run_layer(config(array=wide, bandwidth_bytes_per_cycle=1), layer)


def test_reports_have_the_peer_s_columns_and_numbers() -> None:
    results = run_layers(config(), [Layer(name="a", gemm=Gemm(m=9, n=7, k=5))])
    compute, bandwidth = io.StringIO(), io.StringIO()
    write_compute_report(results, compute)
    write_bandwidth_report(results, bandwidth)
    assert compute.getvalue().splitlines() == [
        f"{','.join(COMPUTE_COLUMNS)},",
        f"0,76,76,0,{100 * 315 / (76 * 16)},{100 * 35 / 64},",
    ]
    assert sram_words(results[0].plan) == {
        Operand.A: 2 * 45,
        Operand.B: 35,
        Operand.C: 2 * 63,
    }
    assert bandwidth.getvalue().splitlines()[1] == f"0,{90 / 76},{35 / 76},{126 / 76},0.0,0.0,0.0,"
