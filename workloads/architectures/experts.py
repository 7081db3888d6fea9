"""A mixture of experts in place of the feed-forward: Mixtral's and DeepSeek-V3's.

Letters are those of `decoder`; besides, E experts, k of them for each of N = B*T tokens, m tokens
of one expert, X width inside an expert.

A router scores all experts for every token; the k best are given the token, and what they make of
it is added to the residual, weighed by the scores. Each expert that has any tokens gathers them
and multiplies them by its own weights, which are read once a pass however many tokens it has; an
expert without tokens is not read. One product an expert is what frameworks run that know no better;
a kernel that serves all experts at once is a different trace.

Who has tokens is known from the numbers alone. A trace made without numbers follows a rule instead,
`balanced`: the token of position p, prompt b of B, is given to experts (p*B + b)*k + 0 .. k - 1,
modulo E. So every pass spreads its tokens as evenly as can be, a decode pass of one prompt reads k
experts, and the next one reads the next k. A run with numbers can be told to follow the same rule,
`routing: balanced`, and then has the same trace; the scores still weigh what the experts make.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workloads import ops
from workloads.architectures.experts_config import Experts
from workloads.architectures.parameters import Parameter
from workloads.array import Array, Values
from workloads.ops import routing
from workloads.ops.stored import product

if TYPE_CHECKING:
    from workloads.architectures.decoder_config import DecoderConfig

PRODUCTS = ("gate", "up", "down")


class Given(NamedTuple):
    """An expert and what it is given."""

    expert: int
    rows: list[int]
    """Its tokens, counted through the batch."""
    places: list[int]
    """Where among each token's k experts it stands."""


def add_mixture(x: Array, h: Array, config: DecoderConfig, experts: Experts, start: int) -> Array:
    """Add to the residual x [B, T, C] what the shared and the chosen experts make of h [B, T, C].

    Experts add to the residual where it lies, one after another; no sum is kept apart.
    """
    if experts.shared_size:
        shared = feed_forward(h, config, "shared")  # [B, T, C]
        x = ops.add(x, shared, name="shared.residual", buffer=x.name)  # [B, T, C]
    chosen, weights, numbers = route(h, experts, start)  # [N, k] each
    for turn, given in enumerate(givens(numbers)):
        y = routing.gather_tokens(
            h, chosen, rows=given.rows, name="experts.gather", buffer=f"experts.gather.{turn}"
        )  # [B, T, C] -> [m, C]
        y = expert_output(y, config, given.expert, turn)  # [m, C]
        x = routing.scatter_add(
            x, y, weights, chosen, rows=given.rows, places=given.places, name="experts.scatter"
        )  # [B, T, C]
    return x


def route(h: Array, experts: Experts, start: int) -> tuple[Array, Array, Values]:
    """Choose and weigh each token's experts, h [B, T, C] -> chosen, weights [N, k].

    Returns also the numbers of the chosen, which stand even where nothing is computed.
    """
    balanced = experts.routing == "balanced" or not h.tracer.execute
    h.tracer.about["routing"] = "balanced" if balanced else "data"
    rule = balanced_choice(experts, h.shape[0], h.shape[1], start)  # [N, k]
    logits = product(h, "experts.router")  # [B, T, C] -> [B, T, E]
    scores = routing.expert_scores(logits, scoring=experts.scoring, name="experts.scores")
    chosen = routing.choose_experts(
        scores,
        h.tracer.get("experts.choose.bias") if experts.corrected else None,
        count=experts.chosen,
        groups=experts.groups,
        groups_chosen=experts.groups_chosen,
        name="experts.choose",
        instead=rule if balanced else None,
    )  # [B, T, E] -> [N, k]
    weights = routing.expert_weights(
        scores,
        chosen,
        normalised=experts.normalised,
        scale=experts.scale,
        name="experts.weigh",
    )  # [N, k]
    return chosen, weights, rule if chosen.values is None else chosen.values


def balanced_choice(experts: Experts, batch: int, tokens: int, start: int) -> Values:
    """Return the experts of the rule `balanced` for positions start..: [B*T, k]."""
    position = start + np.arange(tokens)[None, :]  # [1, T]
    token = position * batch + np.arange(batch)[:, None]  # [B, T]
    first = token.reshape(-1, 1) * experts.chosen  # [N, 1]
    return (first + np.arange(experts.chosen)) % experts.count


def givens(numbers: Values) -> Iterator[Given]:
    """Deal tokens out to experts, numbers [N, k]: those that have any, in order."""
    for expert in np.unique(numbers).tolist():
        rows, places = np.nonzero(numbers == expert)
        yield Given(expert, rows.tolist(), places.tolist())


def expert_output(x: Array, config: DecoderConfig, expert: int, turn: int) -> Array:
    """Widen, bend, narrow an expert's tokens [m, C].

    Buffers belong to turns: in each pass the first expert that has tokens uses the first ones.
    """

    def own(x: Array, part: str) -> Array:
        weight = x.tracer.get(f"experts.{expert}.{part}.weight")
        return ops.matmul(x, weight, name=f"experts.{part}", buffer=f"experts.{part}.{turn}")

    gate, up = own(x, "gate"), own(x, "up")  # [m, C] -> [m, X] each
    h = ops.gated(
        gate,
        up,
        activation=config.activation,
        name="experts.activation",
        buffer=f"experts.activation.{turn}",
    )  # [m, X]
    return own(h, "down")  # [m, X] -> [m, C]


def feed_forward(x: Array, config: DecoderConfig, part: str) -> Array:
    """Widen, bend, narrow every token, x [B, T, C]."""
    gate, up = product(x, f"{part}.gate"), product(x, f"{part}.up")  # [B, T, C] -> [B, T, X] each
    h = ops.gated(gate, up, activation=config.activation, name=f"{part}.activation")  # [B, T, X]
    return product(h, f"{part}.down")  # [B, T, X] -> [B, T, C]


def parameter_shapes(config: DecoderConfig, experts: Experts) -> dict[str, Parameter]:
    """Weights of the layers that have experts: router, shared expert, each expert of its own.

    An expert's weights are tensors of their own, so that reading one touches no other's bytes.
    """
    first, width = experts.first_dense, config.hidden_size
    layers = config.num_hidden_layers - first
    if not layers:
        return {}
    shapes = {"experts.router.weight": Parameter((width, experts.count), layers, first)}
    if experts.corrected:
        bias = Parameter((experts.count,), layers, first, learned=False)
        shapes["experts.choose.bias"] = bias
    parts = {f"experts.{number}": experts.intermediate_size for number in range(experts.count)}
    if experts.shared_size:
        parts = {"shared": experts.shared_size} | parts
    for part, inside in parts.items():
        for name in PRODUCTS:
            shape = (inside, width) if name == "down" else (width, inside)
            shapes[f"{part}.{name}.weight"] = Parameter(shape, layers, first)
    return shapes


def idle_parameters(config: DecoderConfig) -> int:
    """Weights, of all layers together, of the experts that a token is not given to."""
    experts = config.experts
    if experts is None:
        return 0
    each = len(PRODUCTS) * prod((config.hidden_size, experts.intermediate_size))
    sparse = config.num_hidden_layers - experts.first_dense
    return sparse * (experts.count - experts.chosen) * each
