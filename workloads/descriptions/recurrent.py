"""Recurrent networks. Hugging Face has no class of them: these key names are this library's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from workloads.architectures.recurrent_config import Cell, RecurrentConfig
from workloads.descriptions.keys import Keys


def common(keys: Keys) -> dict[str, Any]:
    """Read what every recurrent description has; `num_steps` is what training unrolled."""
    width = keys.need("hidden_size")
    keys.only("embedding_size", width)
    keys.only("tie_word_embeddings", False)
    keys.only("bidirectional", False)
    return {
        "source": keys.need("source"),
        "model_type": keys.need("model_type"),
        "vocab_size": keys.need("vocab_size"),
        "hidden_size": width,
        "num_hidden_layers": keys.need("num_hidden_layers"),
        "max_position_embeddings": keys.need("num_steps"),
        "torch_dtype": keys.get("torch_dtype", default="float32"),
        "weights": keys.get("weights", default="seeded"),
    }


def language_model(keys: Keys, *, cell: Cell) -> RecurrentConfig:
    """Describe layers of one kind of cell between an embedding and a head with a bias."""
    return RecurrentConfig(**common(keys), cell=cell)


def encoder_decoder(keys: Keys, *, cell: Cell) -> RecurrentConfig:
    """Describe two such networks, the first of which hands its last state to the second."""
    return RecurrentConfig(
        **common(keys),
        cell=cell,
        source_vocab_size=keys.need("source_vocab_size"),
        source_end_token=keys.need("source_end_token"),
        start_token=keys.need("start_token"),
        end_token=keys.need("end_token"),
    )


RECURRENTS: Mapping[str, Callable[[Keys], RecurrentConfig]] = {
    "rnn_lm": partial(language_model, cell="rnn"),
    "lstm_lm": partial(language_model, cell="lstm"),
    "gru_lm": partial(language_model, cell="gru"),
    "gru_seq2seq": partial(encoder_decoder, cell="gru"),
}
