"""`tokenclock models`, `show MODEL` and `trace`: tables, formats, filters and misuse."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from workloads import Trace, model_names

WIDTH = 100


@pytest.mark.parametrize(
    "args",
    [
        ("glassllm-en", "--prompt", "Alice"),
        ("gpt3-175b", "--prompt-tokens", 1900, "--new-tokens", 100, "--batch", 64),
        ("llama3.1-405b", "--prompt-tokens", 120000, "--kinds"),
    ],
)
def test_the_mix_of_any_model_fits_a_hundred_columns(tokenclock, args: tuple[object, ...]) -> None:
    ran = tokenclock("trace", *args)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines()[1:])) <= WIDTH
    header = ran.out.splitlines()[2].split()
    assert header[:4] == ["phase", "kind", "family", "count"]


def test_the_mix_is_shown_in_all_by_phase_and_by_layer(tokenclock) -> None:
    out = tokenclock("trace", "gpt2-small", "--new-tokens", 3).out
    assert out.count("0 to 11, each") == 2
    assert out.count("outside") == 2
    totals = [line.split()[0] for line in out.splitlines() if line.split()[1:2] == ["all"]]
    assert totals == ["prefill", "decode", "all"]
    assert " 100 %" in out
    kinds = tokenclock("trace", "gpt2-small", "--new-tokens", 3, "--kinds").out
    assert "0 to 11, each  softmax" in kinds


def test_the_mix_as_json_and_csv_has_every_cut(tokenclock, tmp_path: Path) -> None:
    asked = ("trace", "gpt2-small", "--prompt-tokens", 7, "--new-tokens", 2)
    content = json.loads(tokenclock(*asked, "--json", "--out", tmp_path / "out").out)
    rows = list(csv.DictReader(io.StringIO(tokenclock(*asked, "--csv").out)))
    flops = content["trace"]["flops"]
    for name in ("mix", "layers"):
        assert sum(row["flops"] for row in content[name]) == flops
    assert content["phases"][-1]["flops"] == flops == sum(int(row["flops"]) for row in rows)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"mix.png", "mix.svg", "mix.csv", "mix.json"}
    assert json.loads((tmp_path / "out" / "mix.json").read_text()) == content


def test_a_graph_is_traced_with_its_sizes(tokenclock, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra onnx is not installed: pip install onnx")
    from onnx import TensorProto, helper, save  # noqa: PLC0415

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    opset = [helper.make_opsetid("", 17)]
    path = tmp_path / "graph.onnx"
    save(helper.make_model(graph, opset_imports=opset), path)
    ran = tokenclock("trace", path, "--dim", "batch=3", "--save", tmp_path / "t.json.gz")
    assert (ran.code, ran.err) == (0, "")
    assert Trace.load(tmp_path / "t.json.gz").flops == 12
    tokenclock("trace", path).assert_refused("--dim batch=1")
    tokenclock("trace", path, "--dim", "batch").assert_refused("NAME=SIZE")
    tokenclock("trace", path, "--dim", "batch=1", "--batch", 2).assert_refused("--batch", "--dim")
    tokenclock("trace", path, "--new-tokens", 40).assert_refused("--new-tokens", "--dim")
    path.write_bytes(path.read_bytes()[:20])
    tokenclock("trace", path, "--dim", "batch=3").assert_refused("graph.onnx")


def test_models_fit_a_hundred_columns_and_name_their_sources(tokenclock) -> None:
    ran = tokenclock("models")
    table, _, sources = ran.out.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()[1:]] == list(model_names())
    assert max(map(len, table.splitlines())) <= WIDTH
    assert "arXiv:2005.14165" in sources


def test_models_are_filtered_by_name_and_kind(tokenclock) -> None:
    def names(*args: str) -> list[str]:
        return [row["name"] for row in json.loads(tokenclock("models", *args, "--json").out)]

    assert names("gpt2") == [name for name in model_names() if "gpt2" in name]
    assert names("llama?-7b") == ["llama1-7b", "llama2-7b"]
    assert set(names("--kind", "opt")) == {"opt-125m", "opt-175b"}
    assert "llama2-7b" in names("--kind", "decoder")


def test_models_as_csv_are_numbers(tokenclock) -> None:
    (row,) = csv.DictReader(io.StringIO(tokenclock("models", "llama2-7b", "--csv").out))
    assert int(row["parameters"]) == 6_738_415_616
    assert int(row["kv_bytes_per_token"]) == 2 * 32 * 4096 * 2
    assert int(row["seen_tokens"]) == 1024


def test_show_tells_a_model_s_sizes_weights_and_keys(tokenclock) -> None:
    out = tokenclock("show", "llama2-7b").out
    assert out.startswith("llama2-7b: decoder, llama\n")
    for words in ("6,738,415,616 parameters", "a token that sees 1,024", "mlp.gate.weight"):
        assert words in out
    content = json.loads(tokenclock("show", "llama2-7b", "--json").out)
    assert content["config"]["intermediate_size"] == 11008
    assert sum(row["parameters"] for row in content["tensors"]) == content["parameters"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("models", "lamma2-7b"), ("'lamma2-7b'", "did you mean 'llama2-7b'")),
        (("models", "gpt2", "--kind", "lama"), ("'lama'", "kinds: decoder, gpt2")),
        (("models", "--json", "--csv"), ("not both",)),
        (("models", "--seen-tokens", 1), ("--seen-tokens",)),
        (("show", "llama2-7c"), ("did you mean 'llama2-7b'",)),
        (("show", "nowhere.json"), ("nowhere.json",)),
        (("trace", "gpt2-small", "--json", "--csv"), ("not both",)),
        (("trace", "gpt2-small", "--dim", "batch=1"), ("--dim", "ONNX")),
    ],
)
def test_misuse_of_models_is_one_line(
    tokenclock, args: tuple[object, ...], words: tuple[str, ...]
) -> None:
    tokenclock(*args).assert_refused(*words)
