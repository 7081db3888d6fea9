"""The zoo against the reference table of published architectures, row by row."""

import csv
from pathlib import Path

import pytest

from workloads import Role, generate, load_model, model_names
from workloads.architectures.decoder_config import DecoderConfig

TABLE = Path(__file__).parents[2] / "fixtures" / "model_configs.csv"
ROWS = {row["model"]: row for row in csv.DictReader(TABLE.read_text().splitlines())}
DECODERS = sorted(name for name, row in ROWS.items() if row["arch"] == "decoder")

INCONSISTENT = {"gpt3-xl": {"heads", "kv_heads"}, "gpt3-13b": {"d_model", "d_ff"}}
"""Columns of rows whose paper contradicts itself, where the zoo has the usual numbers."""


BESIDES = {"smollm2-135m-instruct", "transformer-base", "transformer-big"}
"""Models of the zoo that the table does not list."""


def test_the_zoo_is_the_table_and_few_models_besides() -> None:
    assert set(model_names()) - BESIDES == set(ROWS)


@pytest.mark.parametrize("name", sorted(set(ROWS)))
def test_parameters_are_those_counted_in_the_table(name: str) -> None:
    count, row = load_model(name).parameter_count, ROWS[name]
    if row["params_source"].startswith("counted"):
        assert count == int(row["params"])
    else:  # a label such as 1.3B
        assert count / 1e9 == pytest.approx(float(row["params"].removesuffix("B")), rel=0.02)


def test_all_rows_but_the_two_inconsistent_ones_are_counted() -> None:
    labelled = {n for n, row in ROWS.items() if not row["params_source"].startswith("counted")}
    assert labelled == set(INCONSISTENT)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_has_the_shape_of_its_row(name: str) -> None:
    config = load_model(name).config
    assert isinstance(config, DecoderConfig)
    ours = {
        "layers": config.num_hidden_layers,
        "d_model": config.hidden_size,
        "heads": config.num_attention_heads,
        "kv_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "d_ff": config.intermediate_size,
        "vocab": config.vocab_size,
        "max_ctx": config.max_position_embeddings,
    }
    differing = {column for column, value in ours.items() if value != int(ROWS[name][column])}
    assert differing == INCONSISTENT.get(name, set())


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_has_the_style_of_its_row(name: str) -> None:
    config, row = load_model(name).config, ROWS[name]
    assert config.tie_word_embeddings == row["tied_embeddings"].startswith("yes")
    assert (config.norm == "rmsnorm") == row["norm"].startswith("RMSNorm")
    assert config.norm_after == row["norm"].endswith("pre+post")
    assert config.gated == ("glu" in row["activation"])
    assert (config.parallel != "none") == ("parallel" in row["norm"])
    kind = {"learned": "learned", "ALiBi": "alibi"}.get(row["positional"], "rotary")
    assert config.positions == kind
    if "theta=" in row["positional"]:
        assert config.rope_theta == float(row["positional"].partition("theta=")[2])
    activation = {"silu", "gelu_tanh", "relu", "gelu"} & set(
        row["activation"].replace("(", " ").replace(")", " ").split()
    )
    published = {"gelu_tanh": "gelu_new"}.get(*activation, *activation)
    if row["family"] != "GPT-3":  # whose paper says GELU, meaning GPT-2's
        assert config.activation == published


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_is_traced_without_numbers_and_caches_its_keys_and_values(name: str) -> None:
    trace = generate(load_model(name), prompt_tokens=3, new_tokens=2, execute=False).trace
    row = ROWS[name]
    heads, context, layers = int(row["kv_heads"]), int(row["max_ctx"]), int(row["layers"])
    heads = 16 if name == "gpt3-xl" else heads
    element = {"float16": 2, "bfloat16": 2, "float32": 4}[trace.dtype]
    per_token = 2 * layers * heads * int(row["head_dim"]) * element
    assert trace.bytes_of(Role.KV_CACHE) == context * per_token
    assert trace.weight_bytes == element * load_model(name).parameter_count
