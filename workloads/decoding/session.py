"""A model at work: its weights and its cache under a tracer, and how far the cache is filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from workloads import ops
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.parameters import Parameter
from workloads.architectures.registry import DECODERS
from workloads.array import Array, Values, numpy_type
from workloads.config import ModelError
from workloads.declarations import by_layer, declare_weights
from workloads.trace import Role
from workloads.tracer import Tracer
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a cache holds of its first positions."""

    positions: int
    values: Mapping[str, Values] | None
    """Cache's name -> [layers, positions, B, K, D]; None where nothing was executed."""

    def first(self, positions: int) -> Past:
        """Return the first of these positions."""
        values = self.values
        kept = values and {name: array[:, :positions] for name, array in values.items()}
        return Past(positions=positions, values=kept)


class Session:
    """Passes through a decoder, each of which extends its cache.

    `name` sets the model apart from another one under the same tracer. `past` is what the cache
    holds from before the run; no operation of the trace brought it there.
    """

    def __init__(
        self,
        tracer: Tracer,
        model: Model,
        config: DecoderConfig,
        *,
        batch: int,
        dtype: str,
        name: str = "",
        past: Past | None = None,
    ) -> None:
        self.tracer = tracer
        self.config = config
        self._decoder = DECODERS[type(config)]
        self.name = name
        self.position = past.positions if past else 0
        """Positions that are filled."""
        self._storage: dict[str, Values] = {}
        with tracer.scope(name):
            declare_weights(tracer, model, config, dtype)
            for cache, room in self._decoder.cache_shapes(config, batch).items():
                stored = room.dtype or dtype
                storage = self._zeros(cache, room, stored) if tracer.execute else None
                tracer.declare(
                    cache,
                    Role.KV_CACHE,
                    room.shape,
                    dtype=stored,
                    layers=room.layers,
                    values=storage,
                )
        if past and past.values is not None:
            for cache, held in past.values.items():
                self._storage[cache][:, : past.positions] = held

    def extend(self, ids: Array) -> Array:
        """Run one pass over token numbers [B, T]; the last layer's output [B, T, C]."""
        self._check_room(ids.shape[1])
        with self.tracer.scope(self.name):
            x = self._decoder.states(
                self.tracer, self.config, ids, self.position
            )  # [B, T] -> [B, T, C]
        self.position += ids.shape[1]
        return x

    def logits(self, x: Array) -> Array:
        """Logits of what comes after each state, x [..., C] -> [..., V]."""
        with self.tracer.scope(self.name):
            return self._decoder.logits(x, self.config)

    def step(self, ids: Array) -> Array:
        """Run one pass over token numbers [B, T]; logits [B, V] of what comes after the last."""
        return self.logits(ops.last_token(self.extend(ids)))

    def rollback(self, position: int) -> None:
        """Forget what the cache holds from a position on: later passes overwrite it."""
        if not 0 <= position <= self.position:
            raise ModelError(f"the cache holds {self.position} positions; cannot keep {position}")
        self.position = position

    def past(self, positions: int) -> Past:
        """Copy the first positions of the cache."""
        if positions > self.position:
            raise ModelError(f"the cache holds {self.position} positions, not {positions}")
        values = {name: array[:, :positions].copy() for name, array in self._storage.items()}
        return Past(positions=positions, values=values if self.tracer.execute else None)

    def _zeros(self, cache: str, room: Parameter, dtype: str) -> Callable[[int | None], Values]:
        """Give each layer numbers of its own, which stay between calls."""
        shape = (room.layers or 1, *room.shape)
        self._storage[cache] = np.zeros(shape, numpy_type(dtype))
        return by_layer(self._storage[cache])

    def _check_room(self, tokens: int) -> None:
        capacity = self.config.max_position_embeddings
        if self.position + tokens > capacity:
            raise ModelError(
                f"the cache holds {self.position} of {capacity} positions; {tokens} more do not "
                f"fit: set max_context"
            )
