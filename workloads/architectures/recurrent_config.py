"""The shape of a recurrent network: a language model, or an encoder that hands on its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveInt
from pydantic import model_validator as validated_by

from workloads.config import ModelConfig

Cell = Literal["rnn", "lstm", "gru"]

GATES: Mapping[Cell, int] = {"rnn": 1, "lstm": 4, "gru": 3}
"""Products of width H that a cell takes of its input, and as many of its state."""


class RecurrentConfig(ModelConfig):
    """Shape of a vanilla tanh RNN, an LSTM or a GRU, whose embedding is as wide as its state.

    With `source_vocab_size` there are two such networks: an encoder, which reads the source and
    leaves its state to the decoder, of as many layers, whose vocabulary is `vocab_size`.

    `max_position_embeddings` is the length that it was trained to unroll, or to decode. It limits
    nothing: the state takes the same memory after any number of tokens.
    """

    cell: Cell
    source_vocab_size: PositiveInt | None = None
    """Vocabulary of the encoder; None where there is none."""
    source_end_token: NonNegativeInt | None = None
    """What ends every source."""
    start_token: NonNegativeInt | None = None
    """What the decoder reads first."""
    end_token: NonNegativeInt | None = None
    """What the decoder says when it is done."""

    @validated_by(mode="after")
    def _check(self) -> Self:
        tokens = (self.source_end_token, self.start_token, self.end_token)
        sizes = (self.source_vocab_size, self.vocab_size, self.vocab_size)
        for token, size in zip(tokens, sizes, strict=True):
            if (token is None) != (self.source_vocab_size is None):
                raise ValueError(
                    "an encoder takes source_vocab_size, source_end_token, start_token and "
                    "end_token; give all four or none"
                )
            if token is not None and size is not None and token >= size:
                raise ValueError(f"token {token} is outside its vocabulary of {size}")
        return self

    @property
    def gates(self) -> int:
        """Products of the state's width that a step takes."""
        return GATES[self.cell]

    @property
    def has_encoder(self) -> bool:
        """Whether a second network reads a source first."""
        return self.source_vocab_size is not None

    @property
    def prompt_vocab_size(self) -> int:
        """Vocabulary of what the model is given."""
        return self.source_vocab_size or self.vocab_size
