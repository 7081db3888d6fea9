"""`tokenclock kernel` from the command line."""

import json
from pathlib import Path

import pytest

from reports.cli import run_commands

KERNELS = Path(__file__).parents[1] / "validation" / "data" / "ooo" / "kernels"


def test_a_kernel_is_told_with_its_bounds_and_timeline(capsys):
    path = KERNELS / "x12_softmax_div_avx2.s"
    assert run_commands(["kernel", str(path), "--core", "haswell"]) == 0
    text = capsys.readouterr().out
    assert "cycles per iteration  14.00  (proved" in text
    assert "bottleneck            divider" in text
    assert "vdivps ymm0, ymm0, ymm15" in text


def test_json_holds_the_same(capsys):
    path = KERNELS / "a03_dot_4acc_neon.s"
    assert run_commands(["kernel", str(path), "--core", "cortex-a55", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["cycles_per_iteration"] == 28
    assert content["steady_state_proved"]
    assert content["bounds"]["memory"] == 24
    assert len(content["timeline"]) == 30


def test_its_timeline_goes_to_other_viewers(tmp_path):
    path = KERNELS / "x12_softmax_div_avx2.s"
    chrome, log = tmp_path / "k.json", tmp_path / "k.log"
    options = ["--core", "haswell", "--chrome", str(chrome), "--kanata", str(log)]
    assert run_commands(["kernel", str(path), *options]) == 0
    events = json.loads(chrome.read_text())["traceEvents"]
    divisions = [e for e in events if "vdivps" in e["name"]]
    assert divisions
    assert log.read_text().count("vdivps") == len(divisions)
    stays = {e["name"] for e in events if e.get("cat") == "stage"}
    assert stays == {"wait", "execute", "retire"}


@pytest.mark.parametrize(
    ("core", "message"),
    [
        ("zen9", "did you mean 'zen"),
        ("cortex-a55", "line 4: unknown register 'rax'"),
        ("no.yaml", "cannot be read"),
    ],
)
def test_unusable_input_is_told_on_one_line(capsys, core, message):
    assert run_commands(["kernel", str(KERNELS / "x14_pointer_chase.s"), "--core", core]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_operands_from_an_outer_cache_add_their_bound(capsys):
    path = KERNELS / "x10_memcpy_avx2.s"
    assert run_commands(["kernel", str(path), "--core", "zen3"]) == 0
    near = capsys.readouterr().out
    assert run_commands(["kernel", str(path), "--core", "zen3", "--from", "l2"]) == 0
    far = capsys.readouterr().out
    assert "l2 bandwidth" not in near
    assert "bottleneck            l2 bandwidth" in far


def test_a_level_that_is_not_known_is_told(capsys):
    path = KERNELS / "x10_memcpy_avx2.s"
    assert run_commands(["kernel", str(path), "--core", "zen3", "--from", "l5"]) != 0
    assert "zen3: no bandwidth from 'l5' is known" in capsys.readouterr().err


def test_cores_and_packaged_kernels_are_listed(capsys):
    assert run_commands(["kernel", "--list"]) == 0
    text = capsys.readouterr().out
    assert "zen4                 x86_64   AMD Zen 4" in text
    assert "gemm_6x2             x86_64   Six rows by two vectors of C" in text
    assert run_commands(["kernel", "--list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"name": "sifive-u74", "isa": "riscv64", "title": "SiFive U74"} in found["cores"]
    assert {kernel["isa"] for kernel in found["kernels"]} == {"x86_64", "aarch64", "riscv64"}


def test_a_packaged_kernel_needs_no_file(capsys):
    assert run_commands(["kernel", "gemm_6x2", "--core", "zen4"]) == 0
    text = capsys.readouterr().out
    assert "x86_64/gemm_6x2.s on zen4" in text
    assert "cycles per iteration  6.00  (proved" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gemm_6x3", "--core", "zen4"], "of x86_64 is named 'gemm_6x3'"),
        (["gemm_6x3", "--core", "zen4"], "did you mean 'gemm_6x2'"),
        (["gemm_8x4", "--core", "cortex-a76"], "did you mean 'gemm_8x3'"),
        (["gemm_14x2", "--core", "haswell"], "is of avx512f, which haswell has not"),
        (["gone.s", "--core", "zen4"], "gone.s: cannot be read"),
        (["gemm_6x2"], "give a kernel and --core, or --list to see both"),
        (["--core", "zen4"], "give a kernel and --core, or --list to see both"),
    ],
)
def test_a_kernel_that_is_not_there_is_told(capsys, arguments, message):
    assert run_commands(["kernel", *arguments]) == 2
    assert message in capsys.readouterr().err
