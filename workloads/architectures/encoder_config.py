"""The shape of an encoder-only Transformer: BERT and its kin."""

from __future__ import annotations

from typing import Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as validated_by

from workloads.architectures.decoder_config import Activation
from workloads.config import ModelConfig


class EncoderConfig(ModelConfig):
    """Shape of an encoder-only Transformer: what tells BERT, MiniLM and ERNIE apart.

    Key names are Hugging Face's where one name is common, else words of this library.
    """

    num_attention_heads: PositiveInt
    intermediate_size: PositiveInt
    type_vocab_size: PositiveInt
    """Kinds of segments, such as question and answer, each with a learned row."""
    task_type_vocab_size: NonNegativeInt = 0
    """Rows of ERNIE's table of tasks; 0 where there is none."""
    activation: Activation
    norm_eps: PositiveFloat
    pooler: bool = True
    """Whether the first token's vector goes through one more product and a tanh."""
    masked_lm_head: bool = False
    """Whether logits of every token are computed, by a head tied to the token rows."""

    @validated_by(mode="after")
    def _check(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size must be a multiple of num_attention_heads")
        return self

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def score_scale(self) -> float:
        """What scores are multiplied by before the softmax."""
        return float(self.head_dim**-0.5)
