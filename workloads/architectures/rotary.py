"""Rotary positions: how fast each pair of a head turns (Su et al. 2021, arXiv:2104.09864)."""

from __future__ import annotations

from functools import lru_cache
from math import pi
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from pydantic import model_validator as validated_by


class RopeScaling(BaseModel):
    """How the turning is slowed to reach a context longer than the one first trained.

    `linear` slows all pairs alike (Chen et al. 2023, arXiv:2306.15595); `llama3` only those that
    turn less than `low_freq_factor` times in the old context, those above `high_freq_factor` not
    at all, and those between in proportion (Grattafiori et al. 2024, arXiv:2407.21783).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear", "llama3"]
    factor: PositiveFloat
    low_freq_factor: PositiveFloat = 1.0
    high_freq_factor: PositiveFloat = 4.0
    original_context: PositiveInt = 8192

    @validated_by(mode="after")
    def _check(self) -> Self:
        if self.low_freq_factor >= self.high_freq_factor:
            raise ValueError("low_freq_factor must be below high_freq_factor")
        return self

    def scaled(self, frequency: float) -> float:
        """Return the slowed frequency, both in radians a position."""
        slowed = frequency / self.factor
        if self.kind == "linear":
            return slowed
        turns = self.original_context * frequency / (2 * pi)
        kept = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        kept = min(max(kept, 0.0), 1.0)
        return (1 - kept) * slowed + kept * frequency


@lru_cache(maxsize=64)  # every layer and every pass asks for the same
def rope_frequencies(
    *, theta: float, rotated: int, scaling: RopeScaling | None = None
) -> tuple[float, ...]:
    """Angle by which each pair of `rotated` elements turns from one position to the next."""
    pairs = rotated // 2
    plain = tuple(theta ** (-pair / pairs) for pair in range(pairs))
    return plain if scaling is None else tuple(map(scaling.scaled, plain))
