"""Decode passes replay layers: which are walked, and that the numbers are those of a walk."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawn import drawn_model
from expert_models import BASES

from workloads import Array, Role, Tracer, ops, read_config
from workloads.decoding.answer import GREEDY, answer
from workloads.decoding.request import checked_request

Body = Callable[[Array], Array]


def scaled(x: Array) -> Array:
    return ops.add(x, x.tracer.get("scale"), name="scale", buffer="residual")


def turned(x: Array) -> Array:
    """Hand on what was written in another order, which no record shows."""
    return scaled(x).view((4,), pick=lambda v: v[::-1])


def looks(x: Array) -> Array:
    assert x.values is not None
    return scaled(x)


def walk(body: Body, *, replays: bool = True, kinds: str = "aaaa") -> tuple[np.ndarray, list[int]]:
    """The numbers after a prefill and two decode passes, and the layers walked in the last."""
    tracer = Tracer(model="test", dtype="float32", execute=True, replays=replays)
    scale = np.arange(4 * len(kinds), dtype=np.float32).reshape(-1, 4)
    tracer.declare("start", Role.INPUT, (4,), values=lambda _: np.ones(4, np.float32))
    tracer.declare("scale", Role.WEIGHT, (4,), layers=len(kinds), values=lambda at: scale[at])
    for step in range(3):
        tracer.begin_step(step)
        x = ops.activate(tracer.get("start"), activation="gelu", name="residual")
        walked = []
        for layer in tracer.layers(kinds):
            walked.append(layer)
            x = body(x)
            if kinds[layer] == "b":
                x = ops.activate(x, activation="gelu", name="residual")
        x = ops.activate(x, activation="gelu", name="end")
    tracer.finish()
    return x.values, walked


@pytest.mark.parametrize("kinds", ["aaaa", "abab", "aabbaabb", "abbb"])
@pytest.mark.parametrize("body", [scaled, turned, looks])
def test_replayed_layers_leave_the_numbers_of_walked_ones(body: Body, kinds: str) -> None:
    replayed, _ = walk(body, kinds=kinds)
    walked, all_layers = walk(body, kinds=kinds, replays=False)
    assert all_layers == list(range(len(kinds)))
    assert np.array_equal(replayed, walked)


def test_of_each_kind_after_each_kind_one_layer_is_walked() -> None:
    assert walk(scaled)[1] == [0, 1]
    assert walk(scaled, kinds="ababab")[1] == [0, 1, 2]
    assert walk(scaled, kinds="aabbaabb")[1] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("body", [looks, turned])
def test_layers_that_look_at_numbers_or_hand_on_a_part_are_all_walked(body: Body) -> None:
    assert walk(body)[1] == [0, 1, 2, 3]


def test_a_prefill_walks_every_layer() -> None:
    tracer = Tracer(model="test", dtype="float32", execute=True)
    tracer.declare("start", Role.INPUT, (4,), values=lambda _: np.ones(4, np.float32))
    x = ops.activate(tracer.get("start"), activation="gelu", name="residual")
    walked = []
    for layer in tracer.layers(3):
        walked.append(layer)
        x = ops.activate(x, activation="gelu", name="residual")
    assert walked == [0, 1, 2]


@pytest.mark.parametrize("base", BASES)
def test_experts_chosen_by_the_numbers_are_those_of_a_walk(base: str) -> None:
    model = drawn_model(read_config(BASES[base], base))
    runs = [mixture(model, replays=replays) for replays in (True, False)]
    assert runs[0].trace.digest() == runs[1].trace.digest()
    assert np.array_equal(runs[0].logits, runs[1].logits)


def mixture(model: Any, *, replays: bool) -> Any:
    request = checked_request(model, [[1, 2, 3], [4, 5, 6]], new_tokens=6, batch=2)
    tracer = request.tracer()
    tracer.replays = replays
    return answer(request, request.session(tracer), [request.prompt(tracer)], GREEDY)
