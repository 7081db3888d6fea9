"""How the next token is chosen: the likeliest, or drawn from what the filters leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads import ops
from workloads.array import Array
from workloads.config import ModelError
from workloads.ops import sampling


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Greedy without `temperature`; else its filters, in the order in which they apply."""

    temperature: float | None = None
    """What logits are divided by before anything else."""
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        filters = {"top_k": self.top_k, "top_p": self.top_p, "min_p": self.min_p}
        given = [name for name, value in filters.items() if value is not None]
        if self.temperature is None:
            if given:
                raise ModelError(f"{given[0]} has no meaning in greedy decoding; give temperature")
        elif not self.temperature > 0:
            raise ModelError("temperature must be above 0; leave it out to decode greedily")
        if self.top_k is not None and self.top_k < 1:
            raise ModelError(f"top_k is {self.top_k}; keep at least 1 token")
        for name, share in (("top_p", self.top_p), ("min_p", self.min_p)):
            if share is not None and not 0 < share <= 1:
                raise ModelError(f"{name} is {share}; give more than 0 and at most 1")
        if self.seed < 0:
            raise ModelError(f"seed is {self.seed}; give 0 or more")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, without a draw."""
        return self.temperature is None


def filtered(logits: Array, settings: Sampling, *, name: str) -> Array:
    """Scale logits [B, V] by the temperature, and leave what may be drawn."""
    if settings.temperature is not None and settings.temperature != 1:
        logits = ops.scale(logits, 1 / settings.temperature, name=f"{name}.temperature")
    if settings.top_k is not None:
        k = min(settings.top_k, logits.shape[-1])
        logits = sampling.top_k(logits, k, name=f"{name}.top_k")
    if settings.top_p is not None:
        logits = sampling.top_p(logits, settings.top_p, name=f"{name}.top_p")
    if settings.min_p is not None:
        logits = sampling.min_p(logits, settings.min_p, name=f"{name}.min_p")
    return logits


def choose(
    logits: Array,
    settings: Sampling,
    random: np.random.Generator,
    *,
    name: str = "choose",
    buffer: str = "token",
) -> Array:
    """Choose a token of each row: logits [B, V] -> token numbers [B, 1]."""
    if settings.greedy:
        return ops.argmax(logits, name=name, buffer=buffer)
    logits = filtered(logits, settings, name=name)
    return ops.sample(logits, temperature=1.0, random=random, name=name, buffer=buffer)
