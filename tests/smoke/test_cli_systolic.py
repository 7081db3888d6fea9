import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

CONFIG = """\
[general]
run_name = demo
[architecture_presets]
ArrayHeight : 4
ArrayWidth : 4
IfmapSramSzkB : 1
FilterSramSzkB : 1
OfmapSramSzkB : 1
Dataflow : ws
Bandwidth : 4
[run_presets]
InterfaceBandwidth: {mode}
"""
TOPOLOGY = """\
Layer, IFMAP height, IFMAP width, filter height, filter width, channels, filters, stride,
first, 6, 6, 3, 3, 2, 4, 1,
second, 4, 4, 1, 1, 4, 8, 1,
"""
TRACES = [f"{name}_SRAM_TRACE.csv" for name in ("FILTER", "IFMAP", "OFMAP")]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Any, ...]:
    config, topology = tmp_path / "a.cfg", tmp_path / "t.csv"
    config.write_text(CONFIG.format(mode="USER"))
    topology.write_text(TOPOLOGY)
    return ("--scalesim", config, "--topology", topology)


def test_a_product_is_answered_in_every_dataflow(tokenclock) -> None:
    ran = tokenclock("systolic", 6, 8, 8, "--array", "4x4")
    assert (ran.code, ran.err) == (0, "")
    heading, _, header, *rows = ran.out.splitlines()
    assert heading.startswith("6x8x8 (MxNxK) bfloat16 on 4x4")
    assert header.split() == [
        *("dataflow", "folds", "serial", "overlapped", "utilisation", "mapping"),
    ]
    assert [row.split()[:4] for row in rows[:3]] == [
        ["os", "4", "56", "38"],
        ["ws", "4", "64", "34"],
        ["is", "4", "72", "42"],
    ]
    assert "Fastest: os, 56 cycles" in ran.out


def test_bandwidth_adds_stalls_and_says_why_these_blocks(tokenclock) -> None:
    asked = ("systolic", 64, 64, 64, "--array", "8x8", "--sram", "4,4,4", "--bandwidth")
    ran = tokenclock(*asked, 2, "--overlapped")
    assert ran.code == 0
    assert "with memory" in ran.out
    assert "Why: " in ran.out
    assert "SRAM of A 4 KiB, B 4 KiB, C 4 KiB" in ran.out
    slow = json.loads(tokenclock(*asked, 2, "--json").out)
    same = json.loads(tokenclock(*asked, "2 GB/s", "--json").out)
    fast = json.loads(tokenclock(*asked, "64", "--json").out)
    assert slow == same
    for late, early in zip(slow["dataflows"], fast["dataflows"], strict=True):
        assert late["cycles"] > early["cycles"]


def test_a_machine_gives_everything_and_energy_and_may_be_changed(tokenclock) -> None:
    asked = ("systolic", 512, 512, 512, "--machine", "tpu-v4")
    ran = tokenclock(*asked)
    assert ran.code == 0
    assert "8 arrays of 128x128, tpu-v4, 1.05 GHz, folds overlapped" in ran.out
    assert "Least energy: " in ran.out
    content = json.loads(tokenclock(*asked, "--serial", "--array", "64x64", "--json").out)
    assert (content["array"], content["overlapped"]) == ("64x64", False)
    assert all(row["joules"] > 0 for row in content["dataflows"])


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_small_array_is_drawn(tokenclock, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"array.{suffix}"
    asked = ("--array", "2x2", "--dataflow", "ws", "--picture", picture)
    ran = tokenclock("systolic", 2, 2, 2, *asked)
    assert ran.code == 0
    assert f"Picture: {picture}" in ran.out
    assert picture.read_bytes()[:5] == {"png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]
    assert [path.name for path in tmp_path.iterdir()] == [picture.name]


def test_scale_sim_s_files_give_its_reports(tokenclock, tmp_path: Path, files) -> None:
    out = tmp_path / "out"
    ran = tokenclock("systolic", *files, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [
        "BANDWIDTH_REPORT.csv",
        "COMPUTE_REPORT.csv",
    ]
    report = pd.read_csv(out / "COMPUTE_REPORT.csv", index_col=False)
    content = json.loads(tokenclock("systolic", *files, "--out", out, "--json").out)
    assert report["Total Cycles (incl. prefetch)"].sum() == content["cycles"]
    assert [layer["name"] for layer in content["layers"]] == ["first", "second"]
    assert report["Stall Cycles"].tolist() == [
        layer["compute"]["Stall Cycles"] for layer in content["layers"]
    ]
    assert f"{content['cycles']:,} cycles in all" in ran.out


@pytest.mark.parametrize("mode", ["USER", "CALC"])
def test_address_traces_lie_in_a_folder_for_each_layer(
    tokenclock, tmp_path: Path, files, mode: str
) -> None:
    (tmp_path / "a.cfg").write_text(CONFIG.format(mode=mode))
    out = tmp_path / "out"
    for _ in range(2):  # the second time over the first
        assert tokenclock("systolic", *files, "--out", out, "--addresses", "--quiet").code == 0
    dram = [name.replace("SRAM", "DRAM") for name in TRACES] if mode == "USER" else []
    for layer in ("layer0", "layer1"):
        assert sorted(path.name for path in (out / layer).iterdir()) == sorted([*TRACES, *dram])
    # the first fold's four rows of filters: the bottom one first, each filter 18 words apart
    lines = (out / "layer0" / "FILTER_SRAM_TRACE.csv").read_text().splitlines()
    assert lines[0] == "0, 10000003, 10000021, 10000039, 10000057,"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("3 3", ("three extents M N K", "not 2")),
        ("3 3 0", ("0 is not in the range",)),
        ("3 3 3 --array 3", ("--array '3'", "128x128")),
        ("3 3 3 --array 0x3", ("--array '0x3'",)),
        ("3 3 3 --sram 64", ("--sram needs --bandwidth",)),
        ("3 3 3 --bandwidth 1 --sram 64,64", ("--sram '64,64'", "A,B,C")),
        ("3 3 3 --bandwidth 0", ("--bandwidth", "'0'")),
        ("3 3 3 --bandwidth 5GHz", ("--bandwidth", "GB/s")),
        ("3 3 3 --clock 0Hz", ("--clock", "more than nothing")),
        ("3 3 3 --dtype bfloat61", ("did you mean 'bfloat16'",)),
        ("3 3 3 --machine tpu-v4 --dtype float64", ("tpu-v4 take no float64",)),
        ("3 3 3 --machine gpu-a100-sxm-80gb", ("family 'gpu'", "'tpu'")),
        ("3 3 3 --machine tpu-v44", ("did you mean 'tpu-v4'",)),
        ("300 300 300 --sram 1 --bandwidth 4", ("fit in the SRAMs", "enlarge")),
        ("3 3 3 --picture a.png", ("one dataflow", "--dataflow")),
        ("3 3 3 --picture a.gif --dataflow ws", ("a.gif", ".png or .svg")),
        ("3 3 3 --picture a.png --dataflow ws", ("128x128 is too large", "--array 4x4")),
        ("3 3 3 --topology t.csv", ("--topology goes with --scalesim",)),
        ("--scalesim a.cfg", ("--scalesim needs --topology",)),
        ("--scalesim a.cfg --topology t.csv", ("--scalesim needs --out",)),
        ("3 3 3 --scalesim a.cfg", ("leave M N K out",)),
        ("--scalesim a.cfg --serial", ("--overlapped does not go with --scalesim",)),
        ("--scalesim nowhere.cfg --topology t.csv --out o", ("nowhere.cfg", "cannot be read")),
    ],
)
def test_bad_input_of_a_product_is_one_line_and_leaves_nothing(
    tokenclock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: str, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    tokenclock("systolic", *args.split()).assert_refused(*words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("a.cfg", ("Bandwidth", "Bandwith"), ("a.cfg, line 10: key 'Bandwith'", "did you mean")),
        ("a.cfg", (": ws", ": xs"), ("a.cfg, line 9: key 'Dataflow'",)),
        ("t.csv", ("second, 4", "second, x"), ("t.csv, line 3: key 'IFMAP height'", "'x'")),
        ("t.csv", ("4, 8, 1,", "4"), ("t.csv, line 3", "needs")),
    ],
)
def test_a_wrong_file_is_named_with_line_and_key(
    tokenclock, files, file: str, change: tuple[str, str], words: tuple[str, ...]
) -> None:
    path = files[1].with_name(file)
    path.write_text(path.read_text().replace(*change))
    out = path.with_name("out")
    tokenclock("systolic", *files, "--out", out).assert_refused(*words)
    assert not out.exists()


def test_a_layer_that_no_sram_holds_names_the_configuration(
    tokenclock, tmp_path: Path, files
) -> None:
    (tmp_path / "a.cfg").write_text(CONFIG.format(mode="USER").replace(": 4\n", ": 64\n"))
    (tmp_path / "t.csv").write_text("Layer, M, N, K,\nfirst, 64, 64, 64,\n")
    ran = tokenclock("systolic", *files, "--out", tmp_path / "out")
    ran.assert_refused("a.cfg: layer 'first'", "SRAM")
