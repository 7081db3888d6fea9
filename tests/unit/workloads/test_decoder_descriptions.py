"""Hugging Face's config.json of every decoder family, in old and new spelling, and its refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from workloads import ModelConfig, ModelError, load_config, load_model, parameter_count, read_config
from workloads.architectures.rotary import RopeScaling

CONFIGS = Path(__file__).parents[2] / "fixtures" / "configs"

DEFAULTS = {  # counted by building each class on torch's meta device, with its defaults
    "bloom": 16_156_544,
    "gemma": 8_537_680_896,
    "gemma2": 2_614_341_888,
    "glm": 9_399_951_360,
    "glm4": 9_400_279_040,
    "gpt2": 124_439_808,
    "gpt_neo": 1_315_575_808,
    "gpt_neox": 20_554_567_680,
    "gptj": 6_050_882_784,
    "llama": 6_738_415_616,
    "mistral": 7_241_732_096,
    "opt": 125_239_296,
    "phi3": 3_821_079_552,
    "qwen2": 12_049_846_272,
}


def description(model_type: str, **changes: Any) -> dict[str, Any]:
    """What transformers writes of a class by default, with changes; None takes a key away."""
    keys = json.loads((CONFIGS / f"{model_type}.json").read_text())
    keys |= {"source": "transformers", **changes}
    return {key: value for key, value in keys.items() if value is not None}


def test_every_family_of_decoders_has_a_written_configuration() -> None:
    assert {path.stem for path in CONFIGS.glob("*.json")} >= set(DEFAULTS)


@pytest.mark.parametrize("model_type", DEFAULTS)
def test_what_transformers_writes_loads_as_it_is(model_type: str) -> None:
    config = load_config(CONFIGS / f"{model_type}.json")
    assert config.model_type == model_type
    assert parameter_count(config) == DEFAULTS[model_type]
    assert config.source.endswith(f"{model_type}.json")


def read_or_fault(keys: dict[str, Any]) -> tuple[ModelConfig | None, str]:
    try:
        return read_config(keys), ""
    except ModelError as error:
        return None, str(error)


@pytest.mark.parametrize("model_type", DEFAULTS)
def test_a_key_left_out_is_missed_or_means_what_it_means_to_transformers(model_type: str) -> None:
    keys = json.loads((CONFIGS / f"{model_type}.json").read_text()) | {"source": "transformers"}
    whole, missed = read_config(keys), set()
    for name in keys:
        config, fault = read_or_fault({k: v for k, v in keys.items() if k != name})
        if fault:
            assert "is missing; add it" in fault or "did you mean" in fault
            missed.add(name)
        else:
            assert config == whole, name
    assert {"model_type", "source", "vocab_size"} <= missed


def test_a_config_json_is_a_model_by_its_path() -> None:
    model = load_model(str(CONFIGS / "gpt2.json"))
    assert (model.name, model.parameter_count) == ("gpt2", 124_439_808)


def test_numbers_that_are_text_to_yaml_are_numbers_in_json() -> None:
    assert '"rms_norm_eps": 1.5625e-07' in (CONFIGS / "glm.json").read_text()
    assert load_config(CONFIGS / "glm.json").norm_eps == 1.5625e-7


LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


@pytest.mark.parametrize(
    ("model_type", "new", "old"),
    [
        ("gpt2", {}, {"n_ctx": 1024, "n_special": None, "prefix": "The"}),
        ("llama", {"dtype": "bfloat16"}, {"torch_dtype": "bfloat16"}),
        (
            "llama",
            {"rope_parameters": {**LLAMA3, "rope_theta": 5e5}},
            {"rope_parameters": None, "rope_scaling": LLAMA3, "rope_theta": 5e5},
        ),
        (
            "llama",
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
            {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
        ),
        ("mistral", {}, {"rope_parameters": None, "rope_theta": 10000.0}),
        (
            "qwen2",
            {},
            {
                "layer_types": None,
                "sliding_window": 131072,
                "use_mrope": False,
                "rope_parameters": None,
                "rope_theta": 10000.0,
            },
        ),
        ("gemma", {}, {"hidden_activation": "gelu_pytorch_tanh", "head_dim": 256}),
        ("gemma2", {}, {"layer_types": None, "hidden_act": "gelu_pytorch_tanh"}),
        ("phi3", {}, {"rope_parameters": None, "rope_theta": 10000.0, "attention_bias": False}),
        ("glm", {}, {"rope_parameters": None, "partial_rotary_factor": 0.5}),
        ("glm4", {}, {"rope_parameters": None}),
        ("gpt_neox", {}, {"rope_parameters": None, "rotary_pct": 0.25, "rotary_emb_base": 10000}),
        ("gptj", {}, {"rotary": True, "scale_attn_weights": True}),
        (
            "bloom",
            {},
            {
                "hidden_size": None,
                "n_embed": 64,
                "seq_length": 2048,
                "masked_softmax_fusion": True,
                "attention_softmax_in_fp32": True,
                "unk_token_id": 0,
            },
        ),
        ("opt", {}, {"word_embed_proj_dim": None, "activation_dropout": 0.0, "prefix": "</s>"}),
    ],
)
def test_old_and_new_spellings_give_one_configuration(
    model_type: str, new: dict[str, Any], old: dict[str, Any]
) -> None:
    assert read_config(description(model_type, **new)) == read_config(
        description(model_type, **old)
    )


def test_llama3_scaling_is_read_into_words() -> None:
    config = read_config(description("llama", rope_parameters={**LLAMA3, "rope_theta": 5e5}))
    assert config.rope_theta == 5e5
    assert config.rope_scaling == RopeScaling(
        kind="llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_context=8192,
    )


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        ("gpt2", {"scale_attn_weights": False}, "key 'scale_attn_weights': only True"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx': only False"),
        ("gpt2", {"add_cross_attention": True}, "key 'add_cross_attention': only False"),
        ("gpt2", {"n_ctx": 2048}, "keys 'n_positions' and 'n_ctx' mean the same; keep one"),
        ("gpt2", {"n_embd": "wide"}, "key 'hidden_size': must be a whole number.*'wide'"),
        ("gpt2", {"n_layer": "deep"}, "key 'num_hidden_layers': .*'deep'"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}},
            "key 'rope_parameters': key 'rope_type': only 'default' or 'linear' or .* got 'yarn'",
        ),
        (
            "llama",
            {"rope_parameters": None, "rope_scaling": {"type": "dynamic", "factor": 4.0}},
            "key 'rope_scaling': key 'rope_type': .*got 'dynamic'",
        ),
        ("llama", {"rope_parameters": {"rope_type": "linear"}}, "key 'factor' is missing; add it"),
        ("llama", {"rope_parameters": {"rope_thata": 1}}, "unknown key 'rope_thata'; did you mean"),
        ("llama", {"rope_parameters": 5}, "key 'rope_parameters': must hold keys of its own"),
        ("llama", {"rope_scaling": LLAMA3}, "'rope_scaling' and 'rope_parameters' mean the same"),
        (
            "llama",
            {"rope_parameters": {**LLAMA3, "low_freq_factor": 4.0}},
            "low_freq_factor must be below high_freq_factor",
        ),
        ("llama", {"rope_parameters": {**LLAMA3, "factor": "x"}}, "'factor': .*got 'x'"),
        ("llama", {"head_dim": "x"}, "key 'head_dim': must be a whole number"),
        ("llama", {"attention_bias": "maybe"}, "key 'qkv_bias': .*got 'maybe'"),
        ("glm", {"partial_rotary_factor": 1.5}, "'partial_rotary_factor' is 0.5, but outside 1.5"),
        (
            "glm",
            {"partial_rotary_factor": 1.5, "rope_parameters": None},
            "'partial_rotary_factor': must be above 0",
        ),
        ("glm", {"partial_rotary_factor": 0.5, "head_dim": 2}, "must be even for rotary"),
        ("qwen2", {"use_sliding_window": True}, "key 'use_sliding_window': only False"),
        ("qwen2", {"layer_types": ["sliding_attention"]}, "key 'layer_types': only 'full_att"),
        ("mistral", {"attention_bias": True}, "unknown key 'attention_bias'"),
        ("phi3", {"attention_bias": True}, "key 'attention_bias': only False"),
        ("gemma", {"use_bidirectional_attention": True}, "bidirectional_attention': only False"),
        ("gemma2", {"hidden_act": "gelu"}, "'hidden_act' and 'hidden_activation' mean the same"),
        ("gemma2", {"query_pre_attn_scalar": -1}, "'query_pre_attn_scalar': must be above 0"),
        ("gemma2", {"layer_types": "all"}, "key 'layer_types': must be a list"),
        (
            "gemma2",
            {"layer_types": ["sliding_attention"] * 5 + ["full_attention"]},
            "key 'layer_types': only 'sliding_attention' in all, none, or every other layer",
        ),
        ("opt", {"do_layer_norm_before": False}, "key 'do_layer_norm_before': only True"),
        ("opt", {"word_embed_proj_dim": 512}, "key 'word_embed_proj_dim': only 768"),
        ("opt", {"enable_bias": False}, "key 'enable_bias': only True"),
        ("opt", {"layer_norm_elementwise_affine": False}, "elementwise_affine': only True"),
        ("opt", {"_remove_final_layer_norm": True}, "_remove_final_layer_norm': only False"),
        ("bloom", {"n_inner": 100}, "key 'n_inner': BLOOM's feed-forward is four times as wide"),
        ("bloom", {"alibi": False}, "key 'alibi': only True"),
        ("bloom", {"apply_residual_connection_post_layernorm": True}, "layernorm': only False"),
        ("gptj", {"rotary_dim": 512}, "no more elements to rotate than head_dim"),
        ("gptj", {"rotary_dim": None}, "key 'rotary_dim' is missing; add it"),
        ("llama", {"rope_parameters": {"rope_theta": 0}}, "key 'rope_theta': .*greater than 0"),
        ("gptj", {"rotary": False}, "key 'rotary': only True"),
        ("gpt_neo", {"attention_types": [[["global"], 24]]}, "'attention_types': only"),
        ("gpt_neo", {"attention_types": 3}, "key 'attention_types': must be a list"),
    ],
)
def test_what_is_not_modelled_is_refused_by_its_key(
    model_type: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        read_config(description(model_type, **changes), "their.json")
    assert str(error.value).startswith("their.json: ")
    assert "\n" not in str(error.value)


def test_a_broken_config_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "gpt2",')
    with pytest.raises(ModelError, match=r"config\.json: not valid JSON: .*line 1") as error:
        load_config(path)
    assert "\n" not in str(error.value)


def test_a_key_given_twice_is_refused_in_json_too(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "gpt2", "n_embd": 8, "n_embd": 16}')
    with pytest.raises(ModelError, match="'n_embd' is given twice; keep one"):
        load_config(path)
