"""What all model descriptions share, and the error that says what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Dtype = Literal["float64", "float32", "float16", "bfloat16"]


class ModelError(ValueError):
    """A model, or what it was asked to do, is not valid; the one-line message names the remedy."""


class ModelConfig(BaseModel):
    """What is known of every model, whatever its architecture.

    Each architecture has a subclass with its own shape, in normalised words; `descriptions` reads
    it from YAML files and from Hugging Face's config.json.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Where the numbers were published."""
    model_type: str
    """Name of the architecture, as Hugging Face has it."""
    vocab_size: PositiveInt
    hidden_size: PositiveInt
    """Width of what flows from layer to layer."""
    num_hidden_layers: PositiveInt
    """Of the encoder, where there are two stacks."""
    max_position_embeddings: PositiveInt
    """Context: the most positions a prompt and its answer may take."""
    torch_dtype: Dtype = "float32"
    """Element type the weights were published in, and the default of a run."""
    weights: str = Field(default="seeded", pattern="^(seeded|[a-z0-9-]+/.+)$")
    """`seeded`, or PACKAGE/WHAT: real weights, as `workloads.weights` finds them."""

    def with_context(self, positions: int) -> Self:
        """Return the same model with another context: it sizes the position table and cache."""
        return self.model_copy(update={"max_position_embeddings": positions})


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean '...'?` where a known word is near, else the list of them."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; valid: {', '.join(words)}"


def check_dtype(dtype: str) -> None:
    """Raise ModelError unless `dtype` is an element type that models may have."""
    floats = get_args(Dtype)
    if dtype not in floats:
        raise ModelError(f"unknown dtype '{dtype}'{nearest(dtype, floats)}")
