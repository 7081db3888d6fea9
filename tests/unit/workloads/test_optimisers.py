"""Optimisers step for step as torch's, and what goes around them."""

from itertools import pairwise
from math import cos, nan, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from training_cases import OPTIMISERS, first_weight, gradients

from workloads import ModelError
from workloads.training import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    EarlyStopping,
    LossScale,
    Optimiser,
    RMSProp,
    constant,
    cosine,
    inverse_sqrt,
    linear,
)

FIXTURE = Path(__file__).parents[2] / "fixtures" / "training.npz"


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_walks_as_torchs_does(name: str) -> None:
    optimiser = OPTIMISERS[name].ours
    weight = first_weight()
    state = [np.full(weight.shape, optimiser.initial(one)) for one in optimiser.states]
    with np.load(FIXTURE, allow_pickle=False) as fixture:
        theirs = fixture[f"optimiser/{name}"]
    for number, (gradient, expected) in enumerate(zip(gradients(), theirs, strict=True), start=1):
        optimiser.step(weight, gradient, state, lr=optimiser.lr, number=number)
        assert np.abs(weight - expected).max() < 1e-14
    assert np.abs(weight - first_weight()).max() > 1e-2


@pytest.mark.parametrize(
    ("optimiser", "numbers", "flops", "roots"),
    [
        (SGD(lr=1), 0, 2, 0),
        (SGD(lr=1, momentum=0.9), 1, 4, 0),
        (SGD(lr=1, momentum=0.9, nesterov=True), 1, 6, 0),
        (SGD(lr=1, weight_decay=0.1), 0, 4, 0),
        (Adam(lr=1), 2, 12, 1),
        (AdamW(lr=1), 2, 13, 1),
        (AdaGrad(lr=1), 1, 6, 1),
        (AdaDelta(lr=1), 2, 14, 2),
        (RMSProp(lr=1), 1, 8, 1),
        (RMSProp(lr=1, centred=True, momentum=0.9), 3, 15, 1),
    ],
)
def test_an_optimiser_keeps_so_much_and_costs_so_much_an_element(
    optimiser: Optimiser, numbers: int, flops: int, roots: int
) -> None:
    assert len(optimiser.states) == numbers
    assert (optimiser.flops, optimiser.transcendentals) == (flops, roots)


def test_a_schedule_warms_up_in_a_straight_line_and_then_decays() -> None:
    for schedule in (
        constant(warmup=4),
        linear(total=10, warmup=4),
        cosine(total=10, warmup=4),
        inverse_sqrt(warmup=4),
    ):
        assert [schedule(step) for step in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert constant()(100) == 1
    assert linear(total=10, warmup=4)(7) == 0.5
    assert linear(total=10)(12) == 0
    assert cosine(total=8)(2) == pytest.approx(0.5 * (1 + cos(pi / 4)))
    assert cosine(total=8, floor=0.1)(9) == pytest.approx(0.1)
    assert inverse_sqrt(warmup=4)(16) == sqrt(4 / 16)


def test_decay_never_rises() -> None:
    for schedule in (linear(total=9), cosine(total=9), inverse_sqrt(warmup=1)):
        factors = [schedule(step) for step in range(1, 12)]
        assert all(after <= before for before, after in pairwise(factors))


def test_early_stopping_waits_for_its_patience() -> None:
    watch = EarlyStopping(patience=2, least_fall=0.1)
    losses = [3.0, 2.0, 1.95, 1.8, nan, 1.75]
    assert [watch.stops(loss) for loss in losses] == [False, False, False, False, False, True]


def test_an_adaptive_loss_scale_halves_at_an_overflow_and_doubles_after_good_steps() -> None:
    scale = LossScale(scale=8, growth_interval=2)
    seen = []
    for overflowed in (True, False, False, False, True, False):
        scale.after(overflowed=overflowed)
        seen.append(scale.scale)
    assert seen == [4, 4, 8, 8, 4, 4]
    static = LossScale(scale=8)
    static.after(overflowed=True)
    assert static.scale == 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: SGD(lr=-1), "learning rate"),
        (lambda: SGD(lr=1, nesterov=True), "Nesterov"),
        (lambda: SGD(lr=1, momentum=-1), "momentum is -1"),
        (lambda: Adam(lr=1, beta1=1.0), "betas"),
        (lambda: linear(total=3, warmup=3), "total is 3"),
        (lambda: constant(warmup=-1), "warmup is -1"),
        (lambda: inverse_sqrt(warmup=0), "warmup is 0"),
        (lambda: EarlyStopping(patience=0), "patience"),
        (lambda: LossScale(scale=0), "loss scale is 0"),
        (lambda: LossScale(backoff=2), "backs off"),
        (lambda: LossScale(growth_interval=0), "growth_interval"),
    ],
)
def test_what_cannot_be_is_refused(wrong: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        wrong()
