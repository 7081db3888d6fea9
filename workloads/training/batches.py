"""Batches: token numbers that go in, and those that should come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from workloads.array import Values
from workloads.config import ModelConfig, ModelError
from workloads.ops.losses import IGNORED
from workloads.ops.shapes import TOKEN_DTYPE


class Batch(NamedTuple):
    """Token numbers that go in and that should come out, [B, T] each; IGNORED asks for nothing."""

    ids: Values
    targets: Values


def checked_batch(batch: Values | Batch, config: ModelConfig) -> Batch:
    """Check token numbers; ids [B, T + 1] become inputs and targets, one position apart."""
    if not isinstance(batch, Batch):
        tokens = np.asarray(batch)
        if tokens.ndim != 2 or tokens.shape[1] < 2:
            raise ModelError("a batch is token numbers [B, T + 1], with T of at least 1")
        batch = Batch(tokens[:, :-1], tokens[:, 1:])
    batch = Batch(*(np.asarray(part) for part in batch))
    if batch.ids.ndim != 2 or not batch.ids.size or batch.ids.shape != batch.targets.shape:
        raise ModelError(
            f"ids {list(batch.ids.shape)} and targets {list(batch.targets.shape)} of a batch "
            f"differ or are not [B, T]; give each position a target"
        )
    for part, allowed in zip(batch, ((), (IGNORED,)), strict=True):
        if part.dtype.kind not in "iu":
            raise ModelError("a batch is whole token numbers; encode the text first")
        outside = part[((part < 0) | (part >= config.vocab_size)) & ~np.isin(part, allowed)]
        if outside.size:
            raise ModelError(
                f"token number {outside[0]} is outside the vocabulary; "
                f"use 0 to {config.vocab_size - 1}"
            )
    if (batch.targets == IGNORED).all():
        raise ModelError("every target of a batch is ignored; there is nothing to learn from")
    return Batch(*(part.astype(TOKEN_DTYPE) for part in batch))


def common_shape(batches: Sequence[Batch]) -> tuple[int, int]:
    """Return sequences and tokens of all batches; ModelError where they differ."""
    shapes = {batch.ids.shape for batch in batches}
    if len(shapes) != 1:
        found = ", ".join(str(list(shape)) for shape in sorted(shapes)) or "none"
        raise ModelError(f"batches must have one shape, got {found}; pad with ignored targets")
    ((sequences, tokens),) = shapes
    return sequences, tokens
