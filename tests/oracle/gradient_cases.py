"""Every gradient rule as a case: what goes in, and our operation. No torch here."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from workloads import Array, Role, Tracer, ops
from workloads.array import Values
from workloads.ops import attention
from workloads.training import backward

Shapes = tuple[tuple[int, ...], ...]

TURNS = (1.0, 0.1)
IDS = np.array([[3, 3, 1], [0, 3, 2]])
TARGETS = np.array([[3, -100, 1], [0, 4, -100]])
BATCH, TOKENS, HEADS, KV_HEADS, SIZE = 2, 3, 4, 2, 4
QUERY = (BATCH, TOKENS, HEADS * SIZE)
KEYS = (TOKENS, BATCH, KV_HEADS, SIZE)
SCORES = (BATCH, KV_HEADS, HEADS // KV_HEADS * TOKENS, TOKENS)


class Case(NamedTuple):
    """An operation and the shapes of what it is differentiated by."""

    shapes: Shapes
    ours: Callable[..., Array]
    is_loss: bool = False


def softmax(**options: object) -> Callable[[Array], Array]:
    return lambda x: attention.softmax(x, tokens=TOKENS, scale=0.7, name="y", **options)


def appended(x: Array) -> Array:
    room = (TOKENS, BATCH, KV_HEADS, SIZE)
    numbers = np.zeros(room)
    x.tracer.declare("cache", Role.ACTIVATION, room, values=lambda _: numbers)
    return attention.cache_append(x.tracer.get("cache"), x, start=0, name="y")


def integers(x: Array, name: str, values: Values) -> Array:
    x.tracer.declare(name, Role.INPUT, values.shape, dtype="int64", values=lambda _: values)
    return x.tracer.get(name)


def rotated(interleaved: bool) -> Case:
    def ours(x: Array) -> Array:
        return attention.rope(
            x, heads=HEADS, start=5, frequencies=TURNS, interleaved=interleaved, name="y"
        )

    return Case((QUERY,), ours)


def activated(activation: str) -> Case:
    return Case(((3, 7),), lambda x: ops.activate(x, activation=activation, name="y"))


def gated(activation: str) -> Case:
    shapes = ((3, 7), (3, 7))
    return Case(shapes, lambda g, u: ops.gated(g, u, activation=activation, name="y"))


CASES: Mapping[str, Case] = {
    "matmul": Case(((2, 3, 5), (5, 7)), lambda x, w: ops.matmul(x, w, name="y")),
    "matmul transposed": Case(
        ((2, 3, 5), (7, 5)), lambda x, w: ops.matmul(x, w, name="y", transposed=True)
    ),
    "add": Case(((2, 3, 5), (2, 3, 5)), lambda x, y: ops.add(x, y, name="y", buffer="y")),
    "add a bias": Case(((2, 3, 5), (5,)), lambda x, y: ops.add(x, y, name="y", buffer="y")),
    "add rows": Case(((2, 3, 5), (3, 5)), lambda x, y: ops.add(x, y, name="y", buffer="y")),
    "add to itself": Case(((2, 3),), lambda x: ops.add(x, x, name="y", buffer="y")),
    "scale": Case(((2, 3),), lambda x: ops.scale(x, 1.7, name="y")),
    "embedding": Case(
        ((5, 4),), lambda t: ops.embedding(integers(t, "ids", IDS), t, name="y", buffer="y")
    ),
    "layernorm": Case(
        ((2, 3, 6), (6,), (6,)), lambda x, w, b: ops.layernorm(x, w, b, eps=1e-2, name="y")
    ),
    "rmsnorm": Case(((2, 3, 6), (6,)), lambda x, w: ops.rmsnorm(x, w, eps=1e-2, name="y")),
    "rmsnorm of 1 + weight": Case(
        ((2, 3, 6), (6,)), lambda x, w: ops.rmsnorm(x, w, eps=1e-2, offset=True, name="y")
    ),
    "silu": activated("silu"),
    "gelu": activated("gelu"),
    "gelu_new": activated("gelu_new"),
    "relu": activated("relu"),
    "gated silu": gated("silu"),
    "gated gelu": gated("gelu"),
    "gated gelu_new": gated("gelu_new"),
    "gated relu": gated("relu"),
    "softcap": Case(((3, 7),), lambda x: ops.softcap(x, 0.8, name="y")),
    "rope of halves": rotated(interleaved=False),
    "rope of neighbours": rotated(interleaved=True),
    "cache append": Case(((BATCH, TOKENS, KV_HEADS * SIZE),), appended),
    "attention scores": Case(
        (QUERY, KEYS), lambda q, k: attention.attention_scores(q, k, name="y")
    ),
    "softmax": Case((SCORES,), softmax()),
    "softmax of all": Case((SCORES,), softmax(causal=False)),
    "softmax in a window": Case((SCORES,), softmax(window=2)),
    "softmax of bent scores": Case((SCORES,), softmax(softcap=1.3)),
    "softmax with alibi": Case((SCORES,), softmax(alibi=True)),
    "attention mix": Case(
        (SCORES, KEYS, QUERY), lambda w, v, q: attention.attention_mix(w, v, q, name="y")
    ),
    "cross entropy": Case(
        ((2, 3, 5),),
        lambda x: ops.cross_entropy(x, integers(x, "targets", np.abs(TARGETS) % 5), name="y"),
        is_loss=True,
    ),
    "masked cross entropy": Case(
        ((2, 3, 5),),
        lambda x: ops.cross_entropy(x, integers(x, "targets", TARGETS), name="y"),
        is_loss=True,
    ),
    "squared error": Case(
        ((3, 4),),
        lambda x: ops.squared_error(x, given(x, "target", (3, 4)), name="y"),
        is_loss=True,
    ),
}


def numbers(name: str, shapes: Shapes) -> list[Values]:
    """Normal numbers of a case."""
    random = np.random.default_rng(len(name))
    return [random.standard_normal(shape) for shape in shapes]


def given(x: Array, name: str, shape: tuple[int, ...]) -> Array:
    """Return an input of fixed normal numbers."""
    values = np.random.default_rng(7).standard_normal(shape)
    x.tracer.declare(name, Role.INPUT, shape, values=lambda _: values)
    return x.tracer.get(name)


def our_loss(case: Case, inputs: list[Values]) -> tuple[Tracer, Array]:
    """Run a case down to a loss: its own, or the squared distance from fixed numbers."""
    tracer = Tracer(model="case", dtype="float64", execute=True, trains=True)
    arrays = []
    for number, values in enumerate(inputs):
        gradient = np.zeros(values.shape)
        tracer.declare(f"x{number}", Role.WEIGHT, values.shape, values=lambda _, v=values: v)
        tracer.declare(
            f"x{number}.grad", Role.GRADIENT, values.shape, values=lambda _, g=gradient: g
        )
        arrays.append(tracer.get(f"x{number}"))
    y = case.ours(*arrays)
    if not case.is_loss:
        y = ops.squared_error(y, given(y, "target", y.shape), name="loss")
    return tracer, y


def our_gradients(case: Case, inputs: list[Values]) -> tuple[Tracer, list[Values]]:
    """Differentiate a case's loss by each of its inputs."""
    tracer, loss = our_loss(case, inputs)
    tracer.declare("seed", Role.INPUT, (1,), values=lambda _: np.ones(1))
    backward(tracer, loss, tracer.get("seed"))
    return tracer, [tracer.get(f"x{number}.grad").values for number in range(len(inputs))]
