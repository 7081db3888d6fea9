"""What is trained in the comparison with torch: decoders, a text, optimisers. No torch here."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from workloads import Model, read_config
from workloads.array import Values
from workloads.training import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    Optimiser,
    RMSProp,
    Schedule,
    cosine,
)

TEXT = (
    "Alice was beginning to get very tired of sitting by her sister on the bank, and of having "
    "nothing to do: once or twice she had peeped into the book her sister was reading, but it had "
    "no pictures or conversations in it, 'and what is the use of a book,' thought Alice 'without "
    "pictures or conversations?' So she was considering in her own mind (as well as she could, for "
    "the hot day made her feel very sleepy and stupid), whether the pleasure of making a "
    "daisy-chain would be worth the trouble of getting up and picking the daisies, when suddenly a "
    "White Rabbit with pink eyes ran close by her."
)
"""Lewis Carroll, Alice's Adventures in Wonderland, 1865: in the public domain."""

LETTERS = sorted(set(TEXT))
BATCH, TOKENS, STEPS = 4, 16, 30
LEARNING_RATE, WEIGHT_DECAY, MAX_NORM, WARMUP = 1e-2, 0.1, 1.0, 5

COMMON = {
    "source": "made up",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "vocab_size": len(LETTERS),
    "max_position_embeddings": TOKENS,
}

CONFIGS: Mapping[str, Mapping[str, object]] = {
    "gpt2": COMMON | {"model_type": "gpt2"},
    "llama": COMMON | {"model_type": "llama", "num_key_value_heads": 2, "rms_norm_eps": 1e-5},
    "llama tied": COMMON
    | {
        "model_type": "llama",
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
    },
}


def model(name: str) -> Model:
    """Return a tiny decoder with seeded weights."""
    return Model(name=name, config=read_config(dict(CONFIGS[name])), tokenizer=None, seed=3)


def batches() -> Iterator[Values]:
    """Letters [B, T + 1] from places in the text drawn from a seed."""
    ids = np.array([LETTERS.index(letter) for letter in TEXT])
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        starts = random.integers(len(ids) - TOKENS, size=BATCH)
        yield np.stack([ids[start : start + TOKENS + 1] for start in starts])


def optimiser() -> AdamW:
    return AdamW(lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)


def schedule() -> Schedule:
    return cosine(total=STEPS, warmup=WARMUP, floor=0.1)


class Rivals(NamedTuple):
    """An optimiser here, and torch's with its arguments."""

    ours: Optimiser
    name: str
    arguments: dict[str, object]


OPTIMISERS: Mapping[str, Rivals] = {
    "sgd": Rivals(SGD(lr=0.1), "SGD", {"lr": 0.1}),
    "sgd decayed": Rivals(SGD(lr=0.1, weight_decay=0.2), "SGD", {"lr": 0.1, "weight_decay": 0.2}),
    "momentum": Rivals(
        SGD(lr=0.1, momentum=0.9, dampening=0.3),
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
    ),
    "nesterov": Rivals(
        SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "adam": Rivals(
        Adam(lr=0.1, weight_decay=0.1, beta1=0.8, beta2=0.95),
        "Adam",
        {"lr": 0.1, "weight_decay": 0.1, "betas": (0.8, 0.95)},
    ),
    "adamw": Rivals(AdamW(lr=0.1), "AdamW", {"lr": 0.1}),
    "adagrad": Rivals(
        AdaGrad(lr=0.1, lr_decay=0.1, initial_sum=0.2, weight_decay=0.1),
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "weight_decay": 0.1},
    ),
    "adadelta": Rivals(
        AdaDelta(lr=0.7, rho=0.8, weight_decay=0.1),
        "Adadelta",
        {"lr": 0.7, "rho": 0.8, "weight_decay": 0.1},
    ),
    "rmsprop": Rivals(RMSProp(lr=0.1), "RMSprop", {"lr": 0.1}),
    "rmsprop centred": Rivals(
        RMSProp(lr=0.01, centred=True, momentum=0.9, weight_decay=0.1),
        "RMSprop",
        {"lr": 0.01, "centered": True, "momentum": 0.9, "weight_decay": 0.1},
    ),
}

OPTIMISER_STEPS = 8


def first_weight() -> Values:
    return np.random.default_rng(1).standard_normal(5)


def gradients() -> Values:
    """One gradient a step, [steps, 5]."""
    return np.random.default_rng(2).standard_normal((OPTIMISER_STEPS, 5))
