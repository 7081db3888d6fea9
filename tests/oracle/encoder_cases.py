"""Small encoders that the oracle answers for, and the texts they are given."""

from collections.abc import Mapping
from typing import Any

import numpy as np

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "type_vocab_size": 3,
}

CASES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertModel", SMALL),
    "bert-relu": ("BertModel", SMALL | {"hidden_act": "relu", "layer_norm_eps": 1e-3}),
    "bert-masked-lm": ("BertForMaskedLM", SMALL),
    "ernie": ("ErnieModel", SMALL | {"use_task_id": True, "task_type_vocab_size": 2}),
    "ernie-without-tasks": ("ErnieModel", SMALL),
}
"""Fixture's name -> (transformers class, what its configuration is given)."""

LENGTHS = (9, 4, 1)
"""Tokens of each text; the longest is as wide as the batch."""


def texts() -> tuple[list[list[int]], list[list[int]]]:
    """Token numbers and segments of each text, drawn from a seed."""
    random = np.random.default_rng(0)
    ids = [random.integers(SMALL["vocab_size"], size=n).tolist() for n in LENGTHS]
    types = [random.integers(SMALL["type_vocab_size"], size=n).tolist() for n in LENGTHS]
    return ids, types


def described(name: str) -> dict[str, Any]:
    """Return what a case's config.json says in our words, beyond torch's."""
    masked = CASES[name][0].endswith("MaskedLM")
    return {"source": "drawn", "masked_lm_head": masked, "pooler": not masked}
