"""`tokenclock memory`: models, recorded addresses, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

FILES = {
    *("memory.json", "memory.csv", "miss-ratio.csv"),
    *("miss-ratio.png", "miss-ratio.svg", "misses.png", "misses.svg"),
}


@pytest.fixture
def addresses(tmp_path):
    path = tmp_path / "walk.npz"
    addr = np.tile(np.arange(0, 64 * 64 * 9, 64 * 64), 2)
    np.savez(path, addr=addr, kind=np.zeros(18, np.uint8), size=np.full(18, 8, np.uint8))
    return path


def test_a_models_decode_step_reads_its_weights_from_memory(tokenclock, tmp_path):
    asked = ("memory", "glassllm-en", "--machine", "cpu-5stage", "--step", 1, "--out", tmp_path)
    ran = tokenclock(*asked)
    assert (ran.code, ran.err) == (0, "")
    assert "glassllm-en, step 1 on five-stage CPU" in ran.out
    assert "Achieved in decode, the whole run simulated: " in ran.out
    assert {path.name for path in tmp_path.iterdir()} == FILES
    again = tokenclock(*asked, "--json")
    answer = json.loads(again.out)
    assert answer == json.loads((tmp_path / "memory.json").read_text())
    weights = next(row for row in answer["roles"] if row["role"] == "weight")
    assert weights["from_memory_share"] > 0.99


def test_recorded_addresses_are_sorted_into_hits_and_misses(tokenclock, addresses, tmp_path):
    ran = tokenclock("memory", addresses, "--machine", "cpu-5stage", "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    assert "Achieved" not in ran.out
    row = pd.read_csv(tmp_path / "out" / "memory.csv").iloc[0]
    assert (row.accesses, row.hits, row.cold, row.capacity, row.conflict) == (18, 0, 9, 0, 9)


def test_deltas_say_the_same_as_addresses(tokenclock, addresses, tmp_path):
    with np.load(addresses) as file:
        deltas = np.diff(file["addr"], prepend=0)
        np.savez(tmp_path / "d.npz", addr_delta=deltas, kind=file["kind"], size=file["size"])
    answers = [
        json.loads(tokenclock("memory", path, "--json", "--out", tmp_path / "out").out)
        for path in (addresses, tmp_path / "d.npz")
    ]
    for answer in answers:
        del answer["workload"]
    assert answers[0] == answers[1]


def test_a_saved_trace_is_streamed_as_its_model_is(tokenclock, tmp_path):
    saved = tmp_path / "t.json.gz"
    tokenclock("trace", "glassllm-en", "--new-tokens", 3, "--save", saved)
    ran = [
        json.loads(tokenclock("memory", what, "--json", "--out", tmp_path / "out").out)
        for what in ("glassllm-en", saved)
    ]
    assert ran[0]["levels"] == ran[1]["levels"]
    assert ran[0]["curves"] == ran[1]["curves"]


def test_quiet_prints_nothing(tokenclock, addresses, tmp_path):
    ran = tokenclock("memory", addresses, "--quiet", "--out", tmp_path / "out")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("glassllm-em",), "did you mean"),
        (("glassllm-en", "--machine", "cpu-5stag"), "did you mean 'cpu-5stage'"),
        (("glassllm-en", "--machine", "tpu-v4"), "take a CPU or a GPU"),
        (("glassllm-en", "--step", "7"), "it has steps 0 to 2"),
        (("glassllm-en", "--layer", "99"), "layers 0 to"),
        (("nowhere.npz",), "nowhere.npz"),
        (("nowhere.json.gz",), "nowhere.json.gz"),
        (("gpt3-175b", "--dtype", "float16"), "Each of these alone fits"),
    ],
)
def test_what_cannot_be_used_is_refused_on_one_line(tokenclock, tmp_path, words, said):
    ran = tokenclock("memory", *words, "--out", tmp_path / "out")
    ran.assert_refused(said)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_address_trace_is_refused(tokenclock, addresses, tmp_path):
    (tmp_path / "text.npz").write_text("not a zip")
    tokenclock("memory", tmp_path / "text.npz", "--out", tmp_path / "o").assert_refused("text.npz")
    np.savez(tmp_path / "short.npz", addr=np.arange(3))
    tokenclock("memory", tmp_path / "short.npz", "--out", tmp_path / "o").assert_refused("kind")
    ran = tokenclock("memory", addresses, "--step", 1, "--out", tmp_path / "o")
    ran.assert_refused("--step goes with a model")
