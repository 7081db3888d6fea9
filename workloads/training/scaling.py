"""Loss scaling: keeps small gradients above what 16 bits can hold.

The loss's gradient starts as the scale in place of 1, and the update divides by it again. Where a
gradient overflows, the step is skipped. Source: Micikevicius et al., Mixed Precision Training,
arXiv:1710.03740, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from workloads.config import ModelError


@dataclass(kw_only=True)
class LossScale:
    """A loss scale: static, or with `growth_interval` one that adapts.

    An adaptive scale is halved (`backoff`) after a step that overflowed, and doubled (`growth`)
    after `growth_interval` steps in a row that did not.
    """

    scale: float = 2.0**16
    growth: float = 2.0
    backoff: float = 0.5
    growth_interval: int | None = None
    """None for a static scale."""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ModelError(f"loss scale is {self.scale}; give a number above 0")
        if self.growth <= 1 or not 0 < self.backoff < 1:
            raise ModelError("a loss scale grows by more than 1 and backs off by less than 1")
        if self.growth_interval is not None and self.growth_interval < 1:
            raise ModelError("growth_interval is a number of steps from 1 up, or None")
        self._good_steps = 0

    def after(self, *, overflowed: bool) -> None:
        """Adapt to how a step ended."""
        if self.growth_interval is None:
            return
        self._good_steps = 0 if overflowed else self._good_steps + 1
        if overflowed:
            self.scale *= self.backoff
        elif self._good_steps == self.growth_interval:
            self.scale *= self.growth
            self._good_steps = 0
