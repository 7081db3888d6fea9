"""The update: gradient clipping by the global norm, unscaling, and the optimiser's step.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np

from workloads.array import Array, Values
from workloads.trace import Family
from workloads.training.backward import GRADIENT_SUFFIX
from workloads.training.state import MASTER_SUFFIX, TrainingState, state_dtype

NORM_FLOOR = 1e-6
"""Added to the norm before it divides, as torch's clip_grad_norm_ does."""


def square_sum(state: TrainingState, kinds: Sequence[str]) -> Array:
    """Sum the squares of all gradients [1], tensor after tensor."""
    total: Array | None = None
    for name in _walk(state, kinds):
        total = _add_squares(state.tracer.get(name + GRADIENT_SUFFIX), total)
    assert total is not None  # noqa: S101 - every model has weights
    return total


def _add_squares(gradient: Array, total: Array | None) -> Array:
    wide = state_dtype(gradient.dtype)

    def compute(gradient: Values, *total: Values) -> Values:
        flat = gradient.astype(wide).reshape(-1)
        result = np.asarray([flat @ flat], wide)
        return result + total[0] if total else result

    return gradient.tracer.record(
        kind="square_sum",
        family=Family.ROWWISE,
        name=f"{gradient.name}.square_sum",
        dims={"rows": 1, "cols": gradient.size, "passes": 1},
        flops=2 * gradient.size + (total is not None),  # square, sum; the sum so far
        reads=(gradient,) if total is None else (gradient, total),
        shape=(1,),
        dtype=wide,
        compute=compute,
        buffer="gradient.square_sum",
    )


def gradient_factor(total: Array, seed: Array, max_norm: float | None) -> Array:
    """Return what gradients are multiplied by [1]: 1 / scale, less where the norm is too large.

    min(1, max_norm / (norm + 1e-6)) / scale, of the unscaled norm sqrt(total) / scale. Not finite
    where a gradient was not. Source: Pascanu et al., arXiv:1211.5063.
    """
    largest = inf if max_norm is None else max_norm

    def compute(total: Values, scale: Values) -> Values:
        norm = np.sqrt(total) / scale
        if not np.isfinite(norm).all():
            return np.full_like(norm, np.nan)
        result: Values = np.minimum(1, largest / (norm + NORM_FLOOR)) / scale
        return result.astype(norm.dtype)

    return total.tracer.record(
        kind="gradient_factor",
        family=Family.ELEMENTWISE,
        name="gradient.factor",
        dims={"elements": 1},
        flops=5,  # divide, + floor, divide, minimum, divide
        transcendentals=1,  # sqrt
        reads=(total, seed),
        shape=(1,),
        compute=compute,
    )


def optimiser_steps(
    state: TrainingState, kinds: Sequence[str], factor: Array | None, *, lr: float, number: int
) -> None:
    """Record one operation for each weight: it reads and writes the weight and what is kept."""
    for name in _walk(state, kinds):
        _optimiser_step(state, name, factor, lr, number)


def _optimiser_step(
    state: TrainingState, name: str, factor: Array | None, lr: float, number: int
) -> None:
    tracer, optimiser = state.tracer, state.optimiser
    weight, gradient = tracer.get(name), tracer.get(name + GRADIENT_SUFFIX)
    master = (tracer.get(name + MASTER_SUFFIX),) if state.mixed else ()
    kept = tuple(tracer.get(f"{name}.{one}") for one in optimiser.states)
    worked = (*(master or (weight,)), *kept)  # what the step changes, in the wide type
    factors = () if factor is None else (factor,)

    def compute(_: Values, gradient: Values, *others: Values) -> Values:
        stepped, *states = others[-len(worked) :]  # `updates` come last
        wide = gradient.astype(stepped.dtype)
        if factors:
            wide = wide * others[len(kept)]
        optimiser.step(stepped, wide, states, lr=lr, number=number)
        if not state.mixed:
            return stepped
        narrow = others[-len(worked) - 1]
        narrow[...] = stepped
        return narrow

    tracer.record(
        kind=type(optimiser).__name__.lower(),
        family=Family.ELEMENTWISE,
        name=f"{name}.update",
        dims={"elements": weight.size},
        flops=(optimiser.flops + len(factors)) * weight.size,
        transcendentals=optimiser.transcendentals * weight.size,
        reads=(worked[0], gradient, *kept, *factors),
        updates=(weight, *worked) if state.mixed else worked,
        shape=weight.shape,
        dtype=weight.dtype,
        compute=compute,
    )


def _walk(state: TrainingState, kinds: Sequence[str]) -> Iterator[str]:
    """Names of all weights: what has no layers, then layer by layer."""
    for name, parameter in state.parameters.items():
        if parameter.layers is None:
            yield name
    for _ in state.tracer.layers(kinds):
        for name, parameter in state.parameters.items():
            if parameter.layers is not None:
                yield name
