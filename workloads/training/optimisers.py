"""Optimisers: each one's formula on a weight's numbers, and what an element costs.

`step` changes the weight and the state in place. Every optimiser follows torch.optim step for
step; `weight_decay` adds that multiple of the weight to its gradient, except in AdamW, which
shrinks the weight itself. Factors known before the run (the rate, powers of beta) cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from workloads.array import Values
from workloads.config import ModelError


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """What all optimisers have. `lr` is the base learning rate; schedules multiply it."""

    lr: float
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.lr < 0 or self.weight_decay < 0:
            raise ModelError("a learning rate and a weight decay are 0 or more")

    @property
    def states(self) -> tuple[str, ...]:
        """Names of what it remembers of each weight, one number an element each."""
        return ()

    def initial(self, state: str) -> float:  # noqa: ARG002 - one optimiser looks at it
        """Return what a state begins with."""
        return 0.0

    @property
    def flops(self) -> int:
        """Of one element."""
        raise NotImplementedError

    @property
    def transcendentals(self) -> int:
        """Square roots of one element."""
        return 0

    def step(
        self, weight: Values, gradient: Values, state: Sequence[Values], *, lr: float, number: int
    ) -> None:
        """Take step `number`, counted from 1, with learning rate `lr`."""
        raise NotImplementedError

    def _decayed(self, weight: Values, gradient: Values) -> Values:
        return gradient + self.weight_decay * weight if self.weight_decay else gradient

    @property
    def _decay_flops(self) -> int:
        return 2 if self.weight_decay else 0


@dataclass(frozen=True, kw_only=True)
class SGD(Optimiser):
    """w -= lr g; with momentum v = momentum v + (1 - dampening) g in place of g.

    The first v is g itself. Nesterov steps along g + momentum v. Source: Sutskever et al. 2013.
    """

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.momentum < 0:
            raise ModelError(f"momentum is {self.momentum}; give 0 or more")
        if self.nesterov and (self.momentum == 0 or self.dampening):
            raise ModelError("Nesterov steps need a momentum, and no dampening")

    @property
    def states(self) -> tuple[str, ...]:
        """Velocity."""
        return ("velocity",) if self.momentum else ()

    @property
    def flops(self) -> int:
        """Step: lr *, subtract; velocity: momentum *, + (and 1 - dampening *); Nesterov: *, +."""
        velocity = 2 + bool(self.dampening) if self.momentum else 0
        return 2 + velocity + 2 * self.nesterov + self._decay_flops

    def step(
        self, weight: Values, gradient: Values, state: Sequence[Values], *, lr: float, number: int
    ) -> None:
        """Take one step."""
        gradient = self._decayed(weight, gradient)
        if self.momentum:
            (velocity,) = state
            share = 1.0 if number == 1 else 1 - self.dampening
            velocity[...] = self.momentum * velocity + share * gradient
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity
        weight -= lr * gradient


@dataclass(frozen=True, kw_only=True)
class Adam(Optimiser):
    """w -= lr m^ / (sqrt(v^) + eps), of running means m of g and v of g^2, less their bias.

    Source: Kingma and Ba, arXiv:1412.6980.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1) or self.eps < 0:
            raise ModelError("Adam's betas lie from 0 to below 1, and eps is 0 or more")

    @property
    def states(self) -> tuple[str, ...]:
        """First and second moment."""
        return ("moment1", "moment2")

    @property
    def flops(self) -> int:
        """M: 3; v: 4 with the square; the root's scale, + eps, divide, lr *, subtract."""
        return 12 + self._decay_flops

    @property
    def transcendentals(self) -> int:
        """The root."""
        return 1

    def step(
        self, weight: Values, gradient: Values, state: Sequence[Values], *, lr: float, number: int
    ) -> None:
        """Take one step."""
        self._adam(weight, self._decayed(weight, gradient), state, lr, number)

    def _adam(
        self, weight: Values, gradient: Values, state: Sequence[Values], lr: float, number: int
    ) -> None:
        m, v = state
        m[...] = self.beta1 * m + (1 - self.beta1) * gradient
        v[...] = self.beta2 * v + (1 - self.beta2) * (gradient * gradient)
        root = np.sqrt(v) / sqrt(1 - self.beta2**number) + self.eps
        weight -= (lr / (1 - self.beta1**number)) * (m / root)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam that first shrinks the weight by lr * weight_decay of itself.

    Source: Loshchilov and Hutter, arXiv:1711.05101.
    """

    weight_decay: float = 0.01

    @property
    def _decay_flops(self) -> int:
        return 1 if self.weight_decay else 0  # the weight times a known factor

    def step(
        self, weight: Values, gradient: Values, state: Sequence[Values], *, lr: float, number: int
    ) -> None:
        """Take one step."""
        weight *= 1 - lr * self.weight_decay
        self._adam(weight, gradient, state, lr, number)


@dataclass(frozen=True, kw_only=True)
class AdaGrad(Optimiser):
    """w -= lr g / (sqrt(sum of all g^2) + eps); the rate falls as 1 / (1 + (n - 1) lr_decay).

    Source: Duchi et al., JMLR 12, 2011.
    """

    lr_decay: float = 0.0
    initial_sum: float = 0.0
    eps: float = 1e-10

    @property
    def states(self) -> tuple[str, ...]:
        """Sum of squares."""
        return ("square_sum",)

    def initial(self, state: str) -> float:  # noqa: ARG002 - it has one
        """Return what the sum begins with."""
        return self.initial_sum

    @property
    def flops(self) -> int:
        """Square, +; + eps, divide, lr *, subtract."""
        return 6 + self._decay_flops

    @property
    def transcendentals(self) -> int:
        """The root."""
        return 1

    def step(
        self, weight: Values, gradient: Values, state: Sequence[Values], *, lr: float, number: int
    ) -> None:
        """Take one step."""
        (total,) = state
        gradient = self._decayed(weight, gradient)
        total += gradient * gradient
        lr /= 1 + (number - 1) * self.lr_decay
        weight -= lr * (gradient / (np.sqrt(total) + self.eps))


@dataclass(frozen=True, kw_only=True)
class AdaDelta(Optimiser):
    """w -= lr d, d = g sqrt(mean of d^2 + eps) / sqrt(mean of g^2 + eps), means running by rho.

    Source: Zeiler, arXiv:1212.5701.
    """

    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6

    @property
    def states(self) -> tuple[str, ...]:
        """Running means of squared gradients and of squared steps."""
        return ("square", "step_square")

    @property
    def flops(self) -> int:
        """Two means with their squares: 8; + eps twice, divide, g *, lr *, subtract."""
        return 14 + self._decay_flops

    @property
    def transcendentals(self) -> int:
        """Two roots."""
        return 2

    def step(
        self, weight: Values, gradient: Values, state: Sequence[Values], *, lr: float, number: int
    ) -> None:
        """Take one step."""
        del number
        square, step_square = state
        gradient = self._decayed(weight, gradient)
        square[...] = self.rho * square + (1 - self.rho) * (gradient * gradient)
        step = np.sqrt(step_square + self.eps) / np.sqrt(square + self.eps) * gradient
        step_square[...] = self.rho * step_square + (1 - self.rho) * (step * step)
        weight -= lr * step


@dataclass(frozen=True, kw_only=True)
class RMSProp(Optimiser):
    """w -= lr g / (sqrt(running mean of g^2) + eps); centred: of the variance of g.

    Source: Tieleman and Hinton, Coursera lecture 6.5, 2012; centred: Graves, arXiv:1308.0850.
    """

    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centred: bool = False

    @property
    def states(self) -> tuple[str, ...]:
        """Mean square; mean, where centred; velocity, where there is momentum."""
        return ("square", *("mean",) * self.centred, *("velocity",) * bool(self.momentum))

    @property
    def flops(self) -> int:
        """Mean square 4, + eps, divide, lr *, subtract; mean 3, its square less; momentum *, +."""
        return 8 + 5 * self.centred + 2 * bool(self.momentum) + self._decay_flops

    @property
    def transcendentals(self) -> int:
        """The root."""
        return 1

    def step(
        self, weight: Values, gradient: Values, state: Sequence[Values], *, lr: float, number: int
    ) -> None:
        """Take one step."""
        del number
        of = dict(zip(self.states, state, strict=True))
        gradient = self._decayed(weight, gradient)
        square = of["square"]
        square[...] = self.alpha * square + (1 - self.alpha) * (gradient * gradient)
        spread = square
        if self.centred:
            mean = of["mean"]
            mean[...] = self.alpha * mean + (1 - self.alpha) * gradient
            spread = square - mean * mean
        step = gradient / (np.sqrt(spread) + self.eps)
        if self.momentum:
            velocity = of["velocity"]
            velocity[...] = self.momentum * velocity + step
            step = velocity
        weight -= lr * step
