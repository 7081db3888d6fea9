"""What latent attention is, in words of this library."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from workloads.architectures.yarn import Yarn


class Latent(BaseModel):
    """Multi-head latent attention: keys and values of all heads are made of one small vector.

    A head's query and key have a part that carries content and a part that carries the position;
    the latter of the key is shared by all heads. Source: DeepSeek-AI 2024, arXiv:2405.04434,
    section 2.1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    query_rank: PositiveInt | None
    """Size of what the queries are made of; None where they are made of the layer's input."""
    rank: PositiveInt
    """Size of what keys and values are made of."""
    content_size: PositiveInt
    """Elements of a head's query and key that no position turns."""
    rotary_size: PositiveInt
    """Elements that positions turn."""
    value_size: PositiveInt
    """Elements of a head's value."""
    norm_eps: PositiveFloat = 1e-6
    """Of the norms of both vectors, whatever the model's other norms have (as published)."""
    yarn: Yarn | None = None
    form: Literal["fewest_flops", "naive", "absorbed"] = "fewest_flops"
    """Which of two ways to the same numbers is taken; see `workloads.architectures.latent`."""

    @property
    def entry_size(self) -> int:
        """Elements that the cache holds of one position, for all heads together."""
        return self.rank + self.rotary_size

    def frequencies(self, theta: float) -> tuple[float, ...]:
        """Angle by which each rotary pair turns from one position to the next, in radians."""
        if self.yarn is not None:
            return self.yarn.frequencies(theta=theta, rotated=self.rotary_size)
        pairs = self.rotary_size // 2
        return tuple(theta ** (-pair / pairs) for pair in range(pairs))

    def is_absorbed(self, tokens: int, start: int) -> bool:
        """Whether a pass of `tokens` from position `start` on takes the absorbed form.

        Of each head and cached position, the naive form makes N + V elements out of R, and pairs
        them with every token; the absorbed form pairs all R + P and R with every token. A prefill
        is naive in any case: it has no cached positions.
        """
        if self.form != "fewest_flops":
            return self.form == "absorbed"
        made = self.content_size + self.value_size
        return start > 0 and tokens * (2 * self.rank - made) < self.rank * made
