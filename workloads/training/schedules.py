"""Learning-rate schedules: a share of the base rate for each step, counted from 0.

All rise over `warmup` steps in a straight line from 0, so step 0 of a warm-up trains with rate 0.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sqrt

from workloads.config import ModelError

Schedule = Callable[[int], float]
"""Step -> factor of the optimiser's learning rate."""


def constant(*, warmup: int = 0) -> Schedule:
    """Stay at the base rate after the warm-up."""
    return _warmed(warmup, lambda _: 1.0)


def linear(*, total: int, warmup: int = 0) -> Schedule:
    """Fall in a straight line to 0 at step `total` (Devlin et al. 2019)."""
    _need_room(total, warmup)
    return _warmed(warmup, lambda step: max(0.0, (total - step) / (total - warmup)))


def cosine(*, total: int, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """Fall along half a cosine to `floor` at step `total`, and stay (Loshchilov, Hutter 2017)."""
    _need_room(total, warmup)

    def factor(step: int) -> float:
        done = min(1.0, (step - warmup) / (total - warmup))
        return floor + (1 - floor) * 0.5 * (1 + cos(pi * done))

    return _warmed(warmup, factor)


def inverse_sqrt(*, warmup: int) -> Schedule:
    """Fall with the root of the step (Vaswani et al. 2017, without the width's factor)."""
    if warmup < 1:
        raise ModelError(f"warmup is {warmup}; inverse_sqrt falls from its end, give at least 1")
    return _warmed(warmup, lambda step: sqrt(warmup / step))


def _warmed(warmup: int, after: Schedule) -> Schedule:
    if warmup < 0:
        raise ModelError(f"warmup is {warmup}; give 0 or more steps")
    return lambda step: step / warmup if step < warmup else after(step)


def _need_room(total: int, warmup: int) -> None:
    if total <= warmup:
        raise ModelError(f"total is {total}; give more steps than the {warmup} of the warm-up")
