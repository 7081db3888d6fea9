"""Small encoder-decoders of every family, described as their files describe them."""

from typing import Any

from drawn import DrawnModel, drawn_model

from workloads import read_config

SOURCES, NEW_TOKENS = 2, 6

TRANSFORMER = {
    "model_type": "transformer",
    "d_model": 12,
    "d_ff": 20,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 3,
    "vocab_size": 50,
    "max_position_embeddings": 16,
}
MARIAN = {
    "model_type": "marian",
    "d_model": 12,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 16,
    "vocab_size": 50,
    "max_position_embeddings": 16,
    "scale_embedding": True,
    "decoder_start_token_id": 49,
    "activation_function": "swish",
}
T5 = {
    "model_type": "t5",
    "d_model": 12,
    "d_kv": 5,
    "d_ff": 20,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "vocab_size": 50,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 9,
}
T5_GATED = {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
WHISPER = {
    "model_type": "whisper",
    "d_model": 12,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 16,
    "vocab_size": 50,
    "num_mel_bins": 5,
    "max_source_positions": 9,
    "max_target_positions": 16,
    "decoder_start_token_id": 7,
}
FAMILIES = {
    "transformer": TRANSFORMER,
    "marian": MARIAN,
    "t5": T5,
    "t5-gated": T5_GATED,
    "whisper": WHISPER,
}


def small(family: str, **changes: Any) -> DrawnModel:
    """A small model of a family, with weights drawn from their names."""
    keys = {"source": "made up", **FAMILIES[family], **changes}
    return drawn_model(read_config({k: v for k, v in keys.items() if v is not None}))
