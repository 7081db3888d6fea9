from math import sqrt
from typing import Any

import pytest
from encoder_decoder_cases import FAMILIES

from workloads import ModelError, read_config


def described(family: str, **changes: Any) -> dict[str, Any]:
    keys = {"source": "made up", **FAMILIES[family], **changes}
    return {key: value for key, value in keys.items() if value is not None}


def test_the_two_stacks_have_shapes_of_their_own() -> None:
    config = read_config(described("marian"))
    assert (config.encoder.layers, config.decoder.layers) == (2, 3)
    assert (config.encoder.heads, config.encoder.head_dim) == (2, 6)
    assert (config.decoder.heads, config.decoder.head_dim) == (3, 4)
    assert (config.encoder.intermediate_size, config.decoder.intermediate_size) == (20, 16)
    assert config.num_hidden_layers == 2


def test_t5_does_not_scale_its_scores_but_what_a_tied_head_reads() -> None:
    tied, apart = read_config(described("t5")), read_config(described("t5-gated"))
    assert tied.score_scale(tied.encoder) == 1
    assert tied.head_scale == pytest.approx(1 / sqrt(12))
    assert apart.head_scale is None
    assert (tied.activation, tied.gated) == ("relu", False)
    assert (apart.activation, apart.gated) == ("gelu_new", True)


def test_whisper_reads_two_frames_for_each_position_and_its_keys_have_no_bias() -> None:
    config = read_config(described("whisper"))
    assert (config.source_positions, config.source_frames) == (9, 18)
    assert (config.qkv_bias, config.key_bias) == (True, False)
    assert config.score_scale(config.decoder) == pytest.approx(6**-0.5)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("t5", {"d_mdl": 3}, "unknown key 'd_mdl'; did you mean 'd_model'"),
        ("t5", {"d_kv": None}, "key 'd_kv' is missing; add it"),
        ("t5", {"d_model": "wide"}, "key 'd_model': must be a whole number above 0, got 'wide'"),
        ("t5", {"num_heads": 0}, "key 'heads': .*greater than 0, got 0"),
        ("t5", {"feed_forward_proj": "gated-silu"}, "only 'relu' or 'gated-gelu' is known"),
        ("t5", {"is_gated_act": True}, "key 'is_gated_act': only False is known here"),
        ("t5", {"is_encoder_decoder": False}, "key 'is_encoder_decoder': only True"),
        ("t5", {"relative_attention_max_distance": 4}, "must exceed half the buckets"),
        ("transformer", {"num_heads": 5}, "d_model must be a multiple of the number of heads"),
        ("transformer", {"d_model": 9}, "hidden_size must be even for sinusoidal positions"),
        ("transformer", {"activation_function": "tanh"}, "key 'activation': .*got 'tanh'"),
        ("marian", {"normalize_before": True}, "key 'normalize_before': only False"),
        ("marian", {"share_encoder_decoder_embeddings": False}, "only True is known here"),
        ("marian", {"decoder_vocab_size": 51}, "key 'decoder_vocab_size': only 50"),
        ("marian", {"decoder_attention_heads": 5}, "multiple of the number of heads"),
        ("whisper", {"scale_embedding": True}, "key 'scale_embedding': only False"),
        ("whisper", {"num_mel_bins": -1}, "key 'mel_bins': .*greater than 0, got -1"),
    ],
)
def test_a_wrong_key_is_named_with_its_remedy(
    family: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        read_config(described(family, **changes), "here")
    assert str(error.value).startswith("here: ")
    assert "\n" not in str(error.value)
