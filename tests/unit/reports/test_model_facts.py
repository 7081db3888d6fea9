"""What `tokenclock models` says of a model, against closed forms."""

from __future__ import annotations

import pytest

from reports.models import model_facts, parameter_rows
from workloads import load_model


def test_a_llama_has_the_costs_of_its_closed_form() -> None:
    facts = model_facts(load_model("llama2-7b"), 512)
    layers, width, wide, vocabulary, seen = 32, 4096, 11008, 32000, 512
    products = 2 * (layers * (4 * width**2 + 3 * width * wide) + width * vocabulary)
    attention = layers * 2 * 2 * seen * width
    softmax = layers * 32 * seen * 5
    assert facts["kv_bytes_per_token"] == 2 * layers * width * 2  # keys and values, 2 bytes each
    assert facts["weight_bytes"] == 2 * facts["parameters"]
    assert facts["flops_per_token"] > products + attention + softmax
    assert facts["flops_per_token"] < 1.001 * (products + attention + softmax)


@pytest.mark.parametrize(
    ("name", "kv_bytes"),
    [
        ("llama3-8b", 2 * 32 * 8 * 128 * 2),
        ("glassllm-en", 2 * 4 * 2 * 32 * 4),
        ("gpt3-175b", 2 * 96 * 12288 * 2),
        ("gemma2-9b", 2 * 42 * 8 * 256 * 2),
    ],
)
def test_the_cache_grows_by_keys_and_values_of_each_layer(name: str, kv_bytes: int) -> None:
    assert model_facts(load_model(name))["kv_bytes_per_token"] == kv_bytes


def test_a_token_that_sees_more_costs_more() -> None:
    model = load_model("gpt2-small")
    near, far = (model_facts(model, seen) for seen in (100, 300))
    more = 12 * (2 * 2 * 768 + 5 * 12) + 12 * 1  # scores and mix; softmax; the mask
    assert far["flops_per_token"] - near["flops_per_token"] == 200 * more


def test_a_short_context_bounds_what_a_token_sees() -> None:
    assert model_facts(load_model("glassllm-en"))["seen_tokens"] == 127
    assert model_facts(load_model("gpt2-small"))["seen_tokens"] == 1023
    assert model_facts(load_model("llama2-7b"))["seen_tokens"] == 1024


def test_the_weights_of_a_model_sum_to_its_parameters() -> None:
    model = load_model("gemma2-2b")
    rows = parameter_rows(model)
    assert sum(row["parameters"] for row in rows) == model.parameter_count
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_what_cannot_be_traced_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    import reports.models  # noqa: PLC0415
    from workloads import ModelError  # noqa: PLC0415

    def refuse(*_: object, **__: object) -> None:
        raise ModelError("of a kind that is not run here")

    monkeypatch.setattr(reports.models, "work", refuse)
    facts = model_facts(load_model("gpt2-small"))
    assert facts["untraced"] == "of a kind that is not run here"
    assert facts["flops_per_token"] is None
    assert facts["parameters"] == 124_439_808
