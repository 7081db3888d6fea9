"""What runs declare before their first operation: a model's weights, and memory that stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workloads.architectures.registry import parameter_shapes
from workloads.array import Values
from workloads.config import ModelConfig
from workloads.trace import Role
from workloads.tracer import Tracer
from workloads.zoo import Model


def declare_weights(tracer: Tracer, model: Model, config: ModelConfig, dtype: str) -> None:
    """Declare every weight, with its numbers where the tracer executes.

    `config` may be the model's own with another context. ModelError where the numbers are missing
    or do not fit.
    """
    weight = model.weights(config, dtype) if tracer.execute else None
    for name, parameter in parameter_shapes(config).items():
        tracer.declare(
            name,
            Role.WEIGHT,
            parameter.shape,
            dtype=parameter.dtype,
            layers=parameter.layers,
            first_layer=parameter.first_layer,
            values=None if weight is None else partial(weight, name),
        )


def by_layer(storage: Values) -> Callable[[int | None], Values]:
    """Give each layer its part of numbers [layers, ...]; a single part stands for all layers."""

    def of_layer(layer: int | None) -> Values:
        values: Values = storage[(layer or 0) if len(storage) > 1 else 0]
        return values

    return of_layer
