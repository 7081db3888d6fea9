import json
import subprocess
import sys
from pathlib import Path

import pytest

from reports.cli import commands
from sim.machine import machine_names
from sim.scenario import scenario_names
from workloads import Trace, model_names

DATA = Path(__file__).parents[1] / "validation" / "data" / "systolic"
SCENARIO = """\
name: two-lengths
question: Does a longer prompt take longer?
workload: {{model: glassllm-en, prompt_tokens: 4, new_tokens: 2}}
machines: [toy-4x4]
sweep:
  workload.prompt_tokens: [4, 16]
expect:
  - claim: four times the prompt takes longer
    left: {{machine: toy-4x4, metric: prefill.seconds, at: {{workload.prompt_tokens: 16}}}}
    relation: "{relation}"
    right: {{machine: toy-4x4, metric: prefill.seconds, at: {{workload.prompt_tokens: 4}}}}
"""


@pytest.mark.parametrize("name", [None, *sorted(commands.commands)])
def test_every_command_has_help_with_examples(tokenclock, name: str | None) -> None:
    ran = tokenclock(*filter(None, (name, "--help")))
    assert ran.code == 0
    assert "Usage: tokenclock" in ran.out
    assert f"  tokenclock {name or 'compare'}" in ran.out


def test_without_a_command_the_help_is_shown(tokenclock) -> None:
    ran = tokenclock()
    assert ran.code == 0
    assert "Commands:" in ran.out


def test_machines_lists_all_with_their_peaks(tokenclock) -> None:
    ran = tokenclock("machines")
    assert ran.code == 0
    assert all(name in ran.out for name in machine_names())
    facts = json.loads(tokenclock("machines", "--json").out)
    assert [entry["name"] for entry in facts] == list(machine_names())


def test_models_lists_all_with_their_sizes(tokenclock) -> None:
    ran = tokenclock("models")
    assert ran.code == 0
    assert all(name in ran.out for name in model_names())
    facts = {entry["name"]: entry for entry in json.loads(tokenclock("models", "--json").out)}
    assert facts["glassllm-en"]["parameters"] == 852_608
    assert facts["glassllm-en"]["text"] is True


@pytest.mark.parametrize("name", machine_names())
def test_show_derives_peaks_and_names_the_source_of_every_number(tokenclock, name: str) -> None:
    ran = tokenclock("show", name)
    assert ran.code == 0
    assert "FLOP/byte" in ran.out
    facts = json.loads(tokenclock("show", name, "--json").out)
    ridge, peak = facts["ridge_flops_per_byte"], facts["matmul_flops_per_second"]
    for dtype in peak:
        assert ridge[dtype] == peak[dtype] / facts["memory_bytes_per_second"]
    assert all(entry["source"] for entry in facts["numbers"])
    assert facts["kind"] != "chip" or facts["numbers"]


def test_show_takes_a_file_of_one_s_own(tokenclock, tmp_path: Path) -> None:
    import sim.machine  # noqa: PLC0415

    path = tmp_path / "mine.yaml"
    path.write_text((sim.machine.MACHINES / "toy-4x4.yaml").read_text())
    assert tokenclock("show", path).out == tokenclock("show", "toy-4x4").out


def test_trace_shows_the_mix_and_saves_what_it_can_show_again(tokenclock, tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    asked = ("trace", "glassllm-en", "--prompt", "Alice", "--new-tokens", 3)
    ran = tokenclock(*asked, "--save", path)
    assert ran.code == 0
    assert f"digest {Trace.load(path).digest()}" in ran.out
    assert tokenclock("trace", path).out == ran.out
    content = json.loads(tokenclock(*asked, "--json").out)
    assert sum(row["flops"] for row in content["mix"]) == content["trace"]["flops"]
    assert sum(row["count"] for row in content["mix"]) == content["trace"]["operations"]


def test_a_scenario_whose_answer_holds_exits_with_0_and_writes_its_files(
    tokenclock, tmp_path: Path
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.format(relation=">"))
    ran = tokenclock("run", path, "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Does a longer prompt take longer?\n")
    assert "holds   four times the prompt takes longer" in ran.out
    files = {f"two-lengths.{kind}" for kind in ("csv", "json", "png", "svg")}
    assert {file.name for file in (tmp_path / "out").iterdir()} == files


def test_a_scenario_whose_answer_changed_exits_with_1(tokenclock, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.format(relation="<"))
    ran = tokenclock("run", path, "--out", tmp_path, "--json")
    assert ran.code == 1
    content = json.loads(ran.out)
    assert content["passed"] is False
    assert [check["passed"] for check in content["checks"]] == [False]
    assert len(content["points"]) == 4  # two lengths, prefill and decode


def test_validate_prints_notes_in_a_column_of_their_own_the_worst_first(
    tokenclock, tmp_path: Path
) -> None:
    (tmp_path / "gemm.csv").write_text(
        "device,dtype,m,n,k,latency_us,note\n"
        "TPU_v6e,bf16,16,256,256,1000000,\n"
        "TPU_v6e,bf16,16,512,512,0.000001,SUSPECT\n"
        "TPU_v6e,fp8,16,512,512,1,\n"
    )
    asked = ("validate", "tpu", "--data", tmp_path, "--json", tmp_path / "v.json")
    ran = tokenclock(*asked, "--worst", 3)
    header, *rows, _ = ran.out.splitlines()
    assert ran.code == 1
    assert header.split() == ["row", "reference", "simulated", "error", "status", "note"]
    assert "unsupported  no element type of traces is 'fp8'" in rows[0]
    assert rows[1].endswith("ok           SUSPECT")
    assert rows[2].endswith("-100 %  ok")
    notes = [row["note"] for row in json.loads((tmp_path / "v.json").read_text())["rows"]]
    assert notes == ["", "SUSPECT", "no element type of traces is 'fp8'"]


def test_validate_prints_one_line_a_row_and_the_summary_last(tokenclock, tmp_path: Path) -> None:
    where = ("--where", "dataflow=ws")
    ran = tokenclock("validate", "systolic", "--data", DATA, *where, "--json", tmp_path / "v.json")
    header, *rows, summary = ran.out.splitlines()
    content = json.loads((tmp_path / "v.json").read_text())
    assert ran.code == 0
    assert header.split() == ["row", "reference", "simulated", "error", "status"]
    assert len(rows) == len(content["rows"]) > 0
    assert summary == content["summary"]
    worst = tokenclock("validate", "systolic", "--data", DATA, *where, "--worst", 2).out
    assert len(worst.splitlines()) == 4


def test_a_missed_bound_exits_with_1(tokenclock, tmp_path: Path) -> None:
    (source,) = DATA.glob("*.csv")
    header, first, *_ = source.read_text().splitlines()
    at = header.split(",").index("compute_cycles")
    cells = first.split(",")
    cells[at] = str(int(cells[at]) + 1)
    (tmp_path / source.name).write_text(f"{header}\n{','.join(cells)}\n")
    ran = tokenclock("validate", "systolic", "--data", tmp_path)
    assert ran.code == 1
    assert "missed" in ran.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("comapre",), ("did you mean 'compare'",)),
        (("show", "tpu-v3-cor"), ("did you mean 'tpu-v3-core'",)),
        (("show", "nowhere.yaml"), ("nowhere.yaml", "cannot be read")),
        (("run", "batch-swep"), ("did you mean 'batch-sweep'",)),
        (("run", "nowhere.yaml"), ("nowhere.yaml", "cannot be read")),
        (("trace", "glasllm-en"), ("did you mean 'glassllm-en'",)),
        (("trace", "nowhere.json.gz"), ("nowhere.json.gz",)),
        (("trace", "glassllm-en", "--save", "/nowhere/t.json.gz"), ("cannot write",)),
        (("validate", "systolik", "--data", DATA), ("did you mean 'systolic'",)),
        (("validate", "systolic", "--data", "/nowhere"), ("/nowhere",)),
        (("validate", "systolic"), ("--data",)),
        (("validate", "systolic", "--data", DATA, "--where", "dataflow"), ("COLUMN=VALUE",)),
        (("validate", "systolic", "--data", DATA, "--where", "dataflo=ws"), ("'dataflow'",)),
        (("machines", "--jsn"), ("--json",)),
    ],
)
def test_misuse_is_one_line_with_the_remedy(
    tokenclock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[object, ...],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    tokenclock(*args).assert_refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_file_with_a_wrong_key_names_file_and_key(tokenclock, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.format(relation=">").replace("machines:", "machine:"))
    tokenclock("run", path, "--out", tmp_path / "out").assert_refused("s.yaml", "machine")
    assert [file.name for file in tmp_path.iterdir()] == ["s.yaml"]


def test_a_real_process_answers(tmp_path: Path) -> None:
    program = "from reports.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", program, "models"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "glassllm-en" in ran.stdout
    assert ran.stderr == ""


def test_there_is_a_scenario_to_run() -> None:
    assert "batch-sweep" in scenario_names()
