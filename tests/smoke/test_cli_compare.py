import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from workloads import Trace

FILES = {
    *("generated.txt", "comparison.csv", "comparison.json", "trace.json.gz", "index.html"),
    *(f"{name}.{kind}" for name in ("throughput", "stacks", "roofline") for kind in ("png", "svg")),
}
MACHINES = ("--machine", "gpu-a100-sxm-80gb", "--machine", "toy-4x4")
SHORT = (*MACHINES, "--new-tokens", "4")


def test_compare_writes_every_file_and_says_who_is_fastest(tokenclock, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = tokenclock("compare", *SHORT, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert {path.name for path in out.iterdir()} == FILES
    assert "generates text fastest" in ran.out
    assert "gpu-a100-sxm-80gb" in ran.out
    assert (out / "generated.txt").read_text().startswith("Alice was beginning to ")


def test_compare_in_json_prints_what_it_also_writes_and_the_command_that_repeats_it(
    tokenclock, tmp_path: Path
) -> None:
    ran = tokenclock("compare", *SHORT, "--out", tmp_path, "--json")
    content = json.loads(ran.out)
    assert content == json.loads((tmp_path / "comparison.json").read_text())
    assert {row["machine"] for row in content["tables"]["summary"]} == set(MACHINES[1::2])
    assert content["trace"]["digest"] == Trace.load(tmp_path / "trace.json.gz").digest()
    assert content["command"] == (
        "tokenclock compare --model glassllm-en --prompt 'Alice was beginning to' --new-tokens 4 "
        "--machine gpu-a100-sxm-80gb --machine toy-4x4"
    )


def test_compare_gives_energy_where_a_description_has_figures(tokenclock, tmp_path: Path) -> None:
    machines = ("--machine", "tpu-v3-core", "--machine", "toy-4x4")
    ran = tokenclock("compare", *machines, "--new-tokens", 3, "--out", tmp_path)
    header, first, second, why, *_ = ran.out.split("\n\n")[1].splitlines()
    assert header.endswith("energy per token")
    assert first.startswith("tpu-v3-core")
    assert first.endswith("J")
    assert second.endswith("  -")
    assert why == "energy -: the description has no energy figures"
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert table.groupby("machine")["joules_per_token"].count().to_dict() == {
        "toy-4x4": 0,
        "tpu-v3-core": 2,
    }
    content = json.loads((tmp_path / "comparison.json").read_text())
    assert {row["machine"] for row in content["tables"]["energy"]} == {"tpu-v3-core"}
    assert content["no_energy"].startswith("No energy is given of toy-4x4")


def test_compare_quietly_prints_nothing_and_the_same_input_gives_the_same_files(
    tokenclock, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        ran = tokenclock("compare", *SHORT, "--out", tmp_path / name, "--quiet")
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    for name in FILES:
        first, second = (tmp_path / folder / name for folder in ("one", "two"))
        assert first.read_bytes() == second.read_bytes(), name


def test_a_machine_too_small_for_the_model_is_reported_and_the_others_run(
    tokenclock, tmp_path: Path
) -> None:
    asked = ("--model", "llama2-7b", "--prompt-tokens", 8, "--new-tokens", 2, "--dtype", "float32")
    ran = tokenclock("compare", *asked, *MACHINES, "--out", tmp_path)
    assert ran.code == 0
    assert "toy-4x4  did not run: llama2-7b needs" in ran.out
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert table["status"].str.contains("needs").tolist() == [False, False, True]
    assert "did not run" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "generated.txt").read_text() == "(traced by shape: no text)\n"


def test_one_new_token_needs_no_decode(tokenclock, tmp_path: Path) -> None:
    ran = tokenclock("compare", *MACHINES, "--new-tokens", 1, "--out", tmp_path)
    assert ran.code == 0
    assert "reads the prompt fastest" in ran.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--machine", "gpu-a100-smx-80gb"), ("did you mean 'gpu-a100-sxm-80gb'",)),
        (("--machine", "missing.yaml"), ("missing.yaml", "cannot be read")),
        (("--model", "glasllm-en"), ("did you mean 'glassllm-en'",)),
        (("--prompt", ""), ("the prompt is empty",)),
        (("--prompt", "Alice " * 200), ("context", "shorten the prompt")),
        (("--prompt", "a", "--prompt-tokens", "4"), ("not both",)),
        (("--new-tokens", "0"), ("at least 1",)),
        (("--new-tokens", "many"), ("not a valid integer",)),
        (("--dtype", "float12"), ("float12",)),
        (("--engine", "turbo"), ("turbo", "simpy")),
        (("--model", "gpt2-small", "--prompt", "hi"), ("no vocabulary",)),
        (
            ("--model", "gpt3-175b", "--prompt-tokens", "4", "--machine", "gpu-a100-sxm-80gb"),
            ("no machine can run this", "more memory"),
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tokenclock, tmp_path: Path, args: tuple[str, ...], words: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    machine = () if "--machine" in args else MACHINES
    tokenclock("compare", *args, *machine, "--out", out).assert_refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_refused_before_the_work(tokenclock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ran = tokenclock("compare", *SHORT, "--out", tmp_path / "file" / "out")
    ran.assert_refused("cannot write", "choose another place")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_ctrl_c_stops_with_a_clean_line(tmp_path: Path) -> None:
    """A real process: it is stopped as soon as its work has begun."""
    program = "from reports.cli import main; main()"
    words = ["compare", *SHORT, "--prompt-tokens", "80", "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not any(tmp_path.iterdir()):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed) == (130, "")
    assert complained.strip() == "tokenclock: stopped"
    assert list(tmp_path.iterdir()) == []
