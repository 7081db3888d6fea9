"""Recurrent networks, from the tanh RNN to the GRU encoder-decoder, in one reading.

Letters in shapes: B batch, T tokens of this pass, C width of rows (= H, that of the state),
G gates (1 in an RNN, 3 in a GRU, 4 in an LSTM), V vocabulary. Time leads, so that what one step
touches is one contiguous range.

Each layer takes two products with its gates side by side, and a bias each, as torch.nn has them:

- of the input, over all T steps at once, as cuDNN does (Appleyard et al. 2016, arXiv:1604.01946):
  one product of T*B rows, which reads its weight once;
- of the state, step after step: B rows each, and its weight read again each time, because step
  t + 1 multiplies what step t has given.

So half of the work of a prompt is a chain of T small products, where a Transformer's prefill has
none. What a run remembers from pass to pass is the state alone: Role.STATE, of one size whatever
has been read.
"""

from __future__ import annotations

from workloads import ops
from workloads.architectures.parameters import Parameter
from workloads.architectures.recurrent_config import RecurrentConfig
from workloads.array import Array
from workloads.ops import recurrence
from workloads.tracer import Tracer

HIDDEN, CELL = "state.hidden", "state.cell"
ENCODER = "encoder."


def encode(tracer: Tracer, config: RecurrentConfig, ids: Array) -> None:
    """Read a source [B, T]; what is left of it is the state of each layer."""
    stack(embed(tracer, ids, ENCODER), config, ENCODER)  # [B, T] -> [T, B, C] -> [T, B, H]


def forward(tracer: Tracer, config: RecurrentConfig, ids: Array) -> Array:
    """Run one pass over token numbers [B, T] from the present state; logits [B, V] of the last."""
    prefix = decoder_prefix(config)
    x = stack(embed(tracer, ids, prefix), config, prefix)  # [B, T] -> [T, B, C] -> [T, B, H]
    return linear(row(x, x.shape[0] - 1), "head")  # [B, H] -> [B, V]


def embed(tracer: Tracer, ids: Array, prefix: str) -> Array:
    """Token rows, time first: [B, T] -> [T, B, C]."""
    table = tracer.get(f"{prefix}embedding.token.weight")  # [V, C]
    ids = ids.view(ids.shape[::-1], pick=lambda v: v.T)  # [T, B]
    name, buffer = f"{prefix}embedding.token", sequence(prefix)
    return ops.embedding(ids, table, name=name, buffer=buffer)  # -> [T, B, C]


def stack(x: Array, config: RecurrentConfig, prefix: str) -> Array:
    """All layers, one after the other, each over the whole sequence: [T, B, C] -> [T, B, H]."""
    for _ in x.tracer.layers(config.num_hidden_layers):
        x = layer(x, config, prefix)  # [T, B, H]
    return x


def layer(x: Array, config: RecurrentConfig, prefix: str) -> Array:
    """One layer over T steps: all inputs at once, then the chain of states."""
    tracer, steps = x.tracer, x.shape[0]
    a = linear(x, f"{prefix}cell.input")  # [T, B, C] -> [T, B, G*H]
    h = kept = tracer.get(HIDDEN)  # [B, H]
    for t in range(steps):
        b = linear(h, gates_of_state(prefix))  # [B, H] -> [B, G*H]
        out = row(tracer.get(sequence(prefix)), t)  # [B, H]
        into = (out, kept) if t == steps - 1 else (out,)
        h = step(config, row(a, t), b, h, into=into, name=f"{prefix}cell")  # [B, H]
    rows = tracer.get(sequence(prefix))  # [T of the longest pass, B, H]
    return rows.view((steps, *h.shape), pick=lambda v: v[:steps])  # [T, B, H]


def step(
    config: RecurrentConfig, a: Array, b: Array, h: Array, *, into: tuple[Array, ...], name: str
) -> Array:
    """One step of a cell: gates a and b [B, G*H] and the state before -> the hidden state [B, H].

    An LSTM's other state, its cell, is overwritten in place.
    """
    if config.cell == "rnn":
        return recurrence.rnn_cell(a, b, into=into, name=name)
    if config.cell == "gru":
        return recurrence.gru_cell(a, b, h, into=into, name=name)
    c = recurrence.lstm_cell(a, b, h.tracer.get(CELL), name=f"{name}.state")  # [B, H]
    return recurrence.lstm_hidden(a, b, c, into=into, name=name)


def row(x: Array, t: int) -> Array:
    """Step t of a sequence [T, B, W] -> [B, W]: a view."""
    shape = x.shape[1:]
    return x.view(shape, offset_elements=t * shape[0] * shape[1], pick=lambda v: v[t])


def linear(x: Array, name: str) -> Array:
    """Multiply x [..., k] by the weight [k, n] of that name, and add its bias in place."""
    y = ops.matmul(x, x.tracer.get(f"{name}.weight"), name=name)  # [..., k] -> [..., n]
    return ops.add(y, x.tracer.get(f"{name}.bias"), name=f"{name}.bias_add", buffer=y.name)


def sequence(prefix: str) -> str:
    """Return the name of what flows from layer to layer: one buffer, each layer's rows in place."""
    return f"{prefix}sequence"


def gates_of_state(prefix: str) -> str:
    """Return the name of the product with the state, and of the buffer that holds it."""
    return f"{prefix}cell.hidden"


def states(config: RecurrentConfig) -> tuple[str, ...]:
    """Return the names of what each layer remembers, [B, H] each."""
    return (HIDDEN, CELL) if config.cell == "lstm" else (HIDDEN,)


def decoder_prefix(config: RecurrentConfig) -> str:
    """Return what the decoder's weights begin with; nothing where it is alone."""
    return "decoder." if config.has_encoder else ""


def parameter_shapes(config: RecurrentConfig) -> dict[str, Parameter]:
    """Every weight by name, in the order it lies in memory: encoder, decoder, head."""
    shapes: dict[str, Parameter] = {}
    if config.source_vocab_size is not None:
        shapes |= stack_shapes(config, ENCODER, config.source_vocab_size)
    shapes |= stack_shapes(config, decoder_prefix(config), config.vocab_size)
    shapes["head.weight"] = Parameter((config.hidden_size, config.vocab_size))
    shapes["head.bias"] = Parameter((config.vocab_size,))
    return shapes


def stack_shapes(config: RecurrentConfig, prefix: str, vocabulary: int) -> dict[str, Parameter]:
    """Weights of an embedding and the layers above it."""
    width, layers = config.hidden_size, config.num_hidden_layers
    shapes = {f"{prefix}embedding.token.weight": Parameter((vocabulary, width))}
    for product in ("input", "hidden"):
        name = f"{prefix}cell.{product}"
        shapes[f"{name}.weight"] = Parameter((width, config.gates * width), layers)
        shapes[f"{name}.bias"] = Parameter((config.gates * width,), layers)
    return shapes
