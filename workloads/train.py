"""Training: forward, loss, backward, update, for every batch; all of it in the trace.

A step of the trace is one batch, in three phases: FORWARD, BACKWARD, UPDATE. Decoders train on the
next token at every position, without dropout. Keys and values are laid out in the KV cache's form,
for the backward pass to read; nothing outlives a step but weights and the optimiser's state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from workloads import ops
from workloads.architectures import decoder
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.registry import architecture_of, parameter_count, parameter_shapes
from workloads.array import Array, Values
from workloads.config import ModelError, check_dtype
from workloads.executable import EXECUTABLE_BYTES
from workloads.trace import DTYPE_BYTES, Phase, Role, Trace
from workloads.tracer import Tracer
from workloads.training.backward import backward
from workloads.training.batches import Batch, checked_batch, common_shape
from workloads.training.early_stopping import EarlyStopping
from workloads.training.optimisers import Optimiser
from workloads.training.scaling import LossScale
from workloads.training.schedules import Schedule, constant
from workloads.training.state import TrainingState, state_dtype
from workloads.training.update import gradient_factor, optimiser_steps, square_sum
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class Training:
    """What came of a training run; where nothing was executed, its trace alone."""

    trace: Trace
    losses: tuple[float, ...]
    """Mean loss of each batch, before its update."""
    learning_rates: tuple[float, ...]
    """Of each batch; 0 where the step was skipped."""
    skipped: tuple[int, ...]
    """Batches whose gradients overflowed, so that nothing was updated."""
    gradient_norms: tuple[float, ...]
    """Before clipping and without the loss scale; empty where no norm was asked for."""
    stopped_early: bool
    weights: Callable[[str, int | None], Values] | None
    """Gives a trained weight, in the type it is updated in; None where nothing was executed."""


def train(
    model: Model,
    batches: Iterable[Values | Batch] | None = None,
    *,
    optimiser: Optimiser,
    schedule: Schedule | None = None,
    max_norm: float | None = None,
    loss_scale: LossScale | None = None,
    early_stopping: EarlyStopping | None = None,
    dtype: str | None = None,
    shape: tuple[int, int] | None = None,
    steps: int | None = None,
) -> Training:
    """Train a decoder, one step for each batch, and trace it.

    A batch is token numbers [B, T + 1], of which the first T predict the last T, or a `Batch`. All
    have one shape. In place of batches, `shape` (B, T) and a number of `steps` are traced without
    numbers. `dtype` is the configuration's by default; 16-bit types have 32-bit master weights.

    The learning rate is the optimiser's times `schedule` of the steps taken so far. Gradients are
    clipped to a global norm of `max_norm`. `loss_scale` (float16: an adaptive one by default)
    adapts as the run goes on, and skips a step that overflows: its trace then has no update,
    unlike one traced without numbers.
    `early_stopping` watches the batches' losses.

    ModelError says what is wrong with a request, and the remedy.
    """
    config = _decoder(model)
    dtype = dtype or config.torch_dtype
    checked = None if batches is None else [checked_batch(batch, config) for batch in batches]
    if checked is None:
        if shape is None or steps is None:
            raise ModelError("give batches to train on, or a shape (B, T) and a number of steps")
    elif shape is not None or steps is not None:
        raise ModelError("batches have a shape and a number of their own; leave out shape, steps")
    if checked is not None:
        shape, steps = common_shape(checked), len(checked)
    assert shape is not None  # noqa: S101 - one of both ways
    assert steps is not None  # noqa: S101
    check_dtype(dtype)
    _check_shape(model, config, shape, steps)
    if max_norm is not None and not max_norm > 0:
        raise ModelError(f"max_norm is {max_norm}; give a number above 0, or leave it out")
    if checked is not None:
        _check_executable(model, config, optimiser, dtype)
    if loss_scale is None and dtype == "float16":
        loss_scale = LossScale(growth_interval=2000)
    run = _Run(
        model=model,
        config=config,
        optimiser=optimiser,
        schedule=schedule or constant(),
        max_norm=max_norm,
        loss_scale=loss_scale,
        dtype=dtype,
        shape=shape,
        executes=checked is not None,
    )
    stopped = False
    for number in range(steps):
        loss = run.step(number, checked[number] if checked else None)
        if early_stopping is not None and loss is not None and early_stopping.stops(loss):
            stopped = True
            break
    return run.finish(stopped_early=stopped)


@dataclass(kw_only=True)
class _Run:
    """A training run between its first batch and its last."""

    model: Model
    config: DecoderConfig
    optimiser: Optimiser
    schedule: Schedule
    max_norm: float | None
    loss_scale: LossScale | None
    dtype: str
    shape: tuple[int, int]
    executes: bool
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        sequences, tokens = self.shape
        self.batch: Batch | None = None
        self.tracer = Tracer(
            model=self.model.name,
            dtype=self.dtype,
            execute=self.executes,
            trains=True,
            batch=sequences,
            prompt_tokens=tokens,
            new_tokens=0,
            about={
                "parameters": parameter_count(self.config),
                "weights": self.model.weights_source,
                "optimiser": type(self.optimiser).__name__,
            },
        )
        wide = state_dtype(self.dtype)
        self.state = TrainingState(
            tracer=self.tracer,
            parameters=parameter_shapes(self.config),
            optimiser=self.optimiser,
            source=self.model.weights(self.config, wide) if self.executes else None,
        )
        self._declare_inputs()

    def _declare_inputs(self) -> None:
        config, (sequences, tokens) = self.config, self.shape
        room = (tokens, sequences, config.num_key_value_heads, config.head_dim)
        layers = config.num_hidden_layers
        for name in (decoder.KEY_CACHE, decoder.VALUE_CACHE):
            stored = np.zeros((layers, *room), self.dtype) if self.executes else None
            values = None if stored is None else stored.__getitem__
            self.tracer.declare(name, Role.ACTIVATION, room, layers=layers, values=values)
        for number, name in enumerate(Batch._fields):
            self.tracer.declare(
                name,
                Role.INPUT,
                self.shape,
                dtype=ops.TOKEN_DTYPE,
                values=lambda _, number=number: self._batch_part(number),  # type: ignore[misc]
            )
        wide = state_dtype(self.dtype)
        self.tracer.declare(
            "loss.seed", Role.INPUT, (1,), dtype=wide, values=lambda _: np.array([self.scale], wide)
        )

    def _batch_part(self, number: int) -> Values:
        assert self.batch is not None  # noqa: S101 - asked for numbers only where executed
        return self.batch[number]

    @property
    def scale(self) -> float:
        """What the loss's gradient begins with."""
        return 1.0 if self.loss_scale is None else self.loss_scale.scale

    def step(self, number: int, batch: Batch | None) -> float | None:
        """Train on one batch; its loss, where executed."""
        self.batch = batch
        kinds, tracer = self.config.layer_kinds, self.tracer
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is looked for below
            tracer.begin_step(number, Phase.FORWARD)
            loss = next_token_loss(tracer, self.config)
            tracer.begin_step(number, Phase.BACKWARD)
            backward(tracer, loss, tracer.get("loss.seed"), kinds)
            tracer.begin_step(number, Phase.UPDATE)
            self._update(number, kinds)
        if loss.values is None:
            return None
        self.losses.append(float(loss.values[0]))
        return self.losses[-1]

    def _update(self, number: int, kinds: Sequence[str]) -> None:
        factor = None
        if self.loss_scale is not None or self.max_norm is not None:
            total = square_sum(self.state, kinds)
            factor = gradient_factor(total, self.tracer.get("loss.seed"), self.max_norm)
            if total.values is not None:
                self.norms.append(float(np.sqrt(total.values[0]) / self.scale))
        taken = number - len(self.skipped)
        lr = self.optimiser.lr * self.schedule(taken)
        overflowed = self.loss_scale is not None and not _finite(factor)
        if overflowed:
            self.skipped.append(number)
        else:
            optimiser_steps(self.state, kinds, factor, lr=lr, number=taken + 1)
        self.rates.append(0.0 if overflowed else lr)
        if self.loss_scale is not None and self.executes:
            self.loss_scale.after(overflowed=overflowed)

    def finish(self, *, stopped_early: bool) -> Training:
        """Return what came of it."""
        return Training(
            trace=self.tracer.finish(),
            losses=tuple(self.losses),
            learning_rates=tuple(self.rates),
            skipped=tuple(self.skipped),
            gradient_norms=tuple(self.norms),
            stopped_early=stopped_early,
            weights=self.state.weight if self.executes else None,
        )


def next_token_loss(tracer: Tracer, config: DecoderConfig) -> Array:
    """Mean cross-entropy of a decoder's logits [B, T, V] with `targets` [B, T] -> [1]."""
    x = decoder.states(tracer, config, tracer.get("ids"), 0)  # [B, T] -> [B, T, C]
    logits = decoder.logits(x, config)  # [B, T, C] -> [B, T, V]
    return ops.cross_entropy(logits, tracer.get("targets"), name="loss")  # [1]


def _finite(factor: Array | None) -> bool:
    return factor is None or factor.values is None or isfinite(factor.values[0])


def _decoder(model: Model) -> DecoderConfig:
    if not isinstance(model.config, DecoderConfig):
        kind = architecture_of(model.config).name
        raise ModelError(f"{model.name} is no decoder but {kind}; train() trains decoders")
    if model.config.experts is not None or model.config.latent is not None:
        raise ModelError(
            f"{model.name}: experts and latent attention have no gradient rules yet, so that "
            "train() would miss parts of the gradient; take a dense decoder"
        )
    return model.config


def _check_shape(model: Model, config: DecoderConfig, shape: tuple[int, int], steps: int) -> None:
    if min(shape) < 1 or steps < 1:
        raise ModelError(f"shape {shape} and steps {steps}: give at least 1 of each")
    if shape[1] > config.max_position_embeddings:
        raise ModelError(
            f"{shape[1]} tokens exceed the context of {model.name}, "
            f"{config.max_position_embeddings} tokens; shorten the sequences"
        )


def _check_executable(
    model: Model, config: DecoderConfig, optimiser: Optimiser, dtype: str
) -> None:
    if dtype == "bfloat16":
        raise ModelError("numpy has no bfloat16; choose float32, or give a shape and steps")
    copies = 2 + len(optimiser.states)
    needed = parameter_count(config) * copies * DTYPE_BYTES[state_dtype(dtype)]
    if needed > EXECUTABLE_BYTES:
        raise ModelError(
            f"{model.name} needs {needed / 2**30:.1f} GiB to train, more than the "
            f"{EXECUTABLE_BYTES / 2**30:.0f} GiB that are executed; give a shape and steps"
        )
