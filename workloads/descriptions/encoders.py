"""Encoder-only families: how each one's config.json says what `EncoderConfig` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workloads.architectures.encoder_config import EncoderConfig
from workloads.descriptions.keys import Keys

Read = Callable[[Keys], EncoderConfig]


def common(keys: Keys) -> dict[str, Any]:
    """Read what every encoder-only description has.

    Keys of our own: `pooler` (true by default) and `masked_lm_head` (false), because the key
    `architectures` of a config.json says only what the weights were trained with.
    """
    keys.only("position_embedding_type", "absolute")
    keys.only("is_decoder", False)
    keys.only("add_cross_attention", False)
    keys.only("chunk_size_feed_forward", 0)
    keys.only("tie_word_embeddings", True)
    return {
        "source": keys.need("source"),
        "model_type": keys.need("model_type"),
        "vocab_size": keys.need("vocab_size"),
        "max_position_embeddings": keys.need("max_position_embeddings"),
        "torch_dtype": keys.get("torch_dtype", "dtype", default="float32"),
        "weights": keys.get("weights", default="seeded"),
        "hidden_size": keys.need("hidden_size"),
        "num_hidden_layers": keys.need("num_hidden_layers"),
        "num_attention_heads": keys.need("num_attention_heads"),
        "intermediate_size": keys.need("intermediate_size"),
        "type_vocab_size": keys.get("type_vocab_size", default=2),
        "activation": keys.get("hidden_act", default="gelu"),
        "norm_eps": keys.get("layer_norm_eps", default=1e-12),
        "pooler": keys.get("pooler", default=True),
        "masked_lm_head": keys.get("masked_lm_head", default=False),
    }


def bert(keys: Keys) -> EncoderConfig:
    """BERT and MiniLM: learned positions, two segments, exact GELU."""
    return EncoderConfig(**common(keys))


def ernie(keys: Keys) -> EncoderConfig:
    """ERNIE 3.0: BERT with a table of tasks, of which task 0 is added to every token."""
    tasks = keys.get("task_type_vocab_size", default=3)
    return EncoderConfig(
        **common(keys),
        task_type_vocab_size=tasks if keys.get("use_task_id", default=False) else 0,
    )


ENCODERS: Mapping[str, Read] = {
    "bert": bert,
    "ernie": ernie,
}
