"""YaRN: rotary positions slowed for a context longer than the one first trained.

Source: Peng et al. 2023, arXiv:2309.00071.
"""

from __future__ import annotations

from math import ceil, floor, log, pi
from typing import Self

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic import model_validator as validated_by


class Yarn(BaseModel):
    """Pairs that turn often in the first context keep their pace, those that do not are slowed.

    `fast_turns` and `slow_turns` bound the ramp between the two. What the longer context does to
    the sizes of scores, DeepSeek corrects by two factors: `rotary_factor` for the rotated parts
    alone, `score_factor` for whole scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: PositiveFloat
    """The longer context divided by the first."""
    original_context: PositiveInt
    fast_turns: PositiveFloat = 32.0
    slow_turns: PositiveFloat = 1.0
    rotary_strength: NonNegativeFloat = 0.0
    """`mscale` of DeepSeek."""
    score_strength: NonNegativeFloat = 0.0
    """`mscale_all_dim` of DeepSeek."""

    @validated_by(mode="after")
    def _check(self) -> Self:
        if self.slow_turns >= self.fast_turns:
            raise ValueError("slow_turns must be below fast_turns")
        return self

    def frequencies(self, *, theta: float, rotated: int) -> tuple[float, ...]:
        """Angle by which each pair of `rotated` elements turns from one position to the next."""
        low = max(floor(self._pair_of(self.fast_turns, theta, rotated)), 0)
        high = min(ceil(self._pair_of(self.slow_turns, theta, rotated)), rotated - 1)
        width = (high - low) or 0.001  # as published: a step, where the ramp has no width
        result = []
        for pair in range(rotated // 2):
            frequency = theta ** (-2 * pair / rotated)
            slowed = min(max((pair - low) / width, 0.0), 1.0)
            result.append(slowed * frequency / self.factor + (1 - slowed) * frequency)
        return tuple(result)

    def _pair_of(self, turns: float, theta: float, rotated: int) -> float:
        """Pair, not a whole number, that turns so often in the first context."""
        return rotated * log(self.original_context / (turns * 2 * pi)) / (2 * log(theta))

    @property
    def rotary_factor(self) -> float:
        """What the rotated parts of query and key are multiplied by."""
        if self.rotary_strength and self.score_strength:
            return self._growth(self.rotary_strength) / self._growth(self.score_strength)
        return self._growth(1.0)

    @property
    def score_factor(self) -> float:
        """What scores are multiplied by."""
        return self._growth(self.score_strength) ** 2 if self.score_strength else 1.0

    def _growth(self, strength: float) -> float:
        return 0.1 * strength * log(self.factor) + 1.0 if self.factor > 1 else 1.0
