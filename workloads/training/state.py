"""What a training run keeps between its steps: weights, gradients, the optimiser's memory.

With 16-bit weights the optimiser works on a 32-bit copy of each, the master weight, and what it
remembers has 32 bits too: a small step would vanish in the rounding of a 16-bit weight
(Micikevicius et al., arXiv:1710.03740, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from workloads.architectures.parameters import Parameter, WeightSource
from workloads.array import Values
from workloads.trace import Role
from workloads.tracer import Tracer
from workloads.training.backward import GRADIENT_SUFFIX
from workloads.training.optimisers import Optimiser

MASTER_SUFFIX = ".master"
HALF_TYPES = {"float16", "bfloat16"}


def state_dtype(dtype: str) -> str:
    """Return the element type in which weights of a type are updated."""
    return "float32" if dtype in HALF_TYPES else dtype


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """Declares its tensors on construction; their numbers live here and change in place."""

    tracer: Tracer
    parameters: dict[str, Parameter]
    optimiser: Optimiser
    source: WeightSource | None
    """Initial weights in the type of the masters; None where nothing is executed."""

    _stored: dict[str, Callable[[int | None], Values]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dtype, wide = self.tracer.dtype, state_dtype(self.tracer.dtype)
        self._declare("", Role.WEIGHT, dtype, self._initial)
        self._declare(GRADIENT_SUFFIX, Role.GRADIENT, dtype, None)
        if self.mixed:
            self._declare(MASTER_SUFFIX, Role.OPTIMIZER_STATE, wide, self._initial)
        for state in self.optimiser.states:
            begin = self.optimiser.initial(state)
            self._declare(
                f".{state}",
                Role.OPTIMIZER_STATE,
                wide,
                lambda _name, _layer, begin=begin: np.asarray(begin),  # type: ignore[misc]
            )

    @property
    def mixed(self) -> bool:
        """Whether there are master weights."""
        return self.tracer.dtype in HALF_TYPES

    def weight(self, name: str, layer: int | None) -> Values:
        """Return a weight's numbers as they are now, in the type it is updated in."""
        return self._stored[name + (MASTER_SUFFIX if self.mixed else "")](layer)

    def _initial(self, name: str, layer: int | None) -> Values:
        assert self.source is not None  # noqa: S101 - asked for numbers only where executed
        return self.source(name, layer)

    def _declare(
        self,
        suffix: str,
        role: Role,
        dtype: str,
        initial: Callable[[str, int | None], Values] | None,
    ) -> None:
        for name, parameter in self.parameters.items():
            values = None
            if self.source is not None:
                values = _storage(name, parameter, dtype, initial)
                self._stored[name + suffix] = values
            self.tracer.declare(
                name + suffix,
                role,
                parameter.shape,
                dtype=dtype,
                layers=parameter.layers,
                first_layer=parameter.first_layer,
                values=values,
            )


def _storage(
    name: str,
    parameter: Parameter,
    dtype: str,
    initial: Callable[[str, int | None], Values] | None,
) -> Callable[[int | None], Values]:
    """Give a tensor numbers that stay between calls: zeros without `initial`."""
    layers = (None,) if parameter.layers is None else range(parameter.layers)
    stored = {layer: np.zeros(parameter.shape, dtype) for layer in layers}
    for layer, values in stored.items():
        if initial is not None:
            values[...] = initial(name, layer)
    return stored.__getitem__
