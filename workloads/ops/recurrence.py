"""The cells of recurrent networks: how one step's state comes from the one before.

H is the width of the state; other letters, costs and rules are those of `workloads.ops`. A cell
takes what two products gave for its gates, of this step's input and of the state before it, each
with its bias. Its hidden state goes to one or several places, `into`: this step's row of the
layer's output and, at the last step, the state that the next pass finds. Gates lie side by side in
the order of torch.nn: input, forget, cell, output of an LSTM; reset, update, new of a GRU.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import DTYPE_BYTES, Family

Places = tuple[Array, ...]


def sigmoid(x: Values) -> Values:
    """1 / (1 + exp(-x)): two operations and an exponential."""
    with np.errstate(over="ignore"):  # exp of a large -x is infinite, and 1 / inf rightly 0
        result: Values = 1 / (1 + np.exp(-x))
    return result


def rnn_cell(from_input: Array, from_state: Array, *, into: Places, name: str) -> Array:
    """H = tanh(a + b), of a and b [B, H] (Elman 1990)."""
    elements = _units(from_input, from_state, into, gates=1, op="rnn_cell")

    def compute(a: Values, b: Values) -> Values:
        result: Values = np.tanh(a + b)  # [B, H]
        return result

    return from_input.tracer.record(
        kind="rnn_cell",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": elements},
        flops=elements,  # the sum
        transcendentals=elements,  # tanh
        reads=(from_input, from_state),
        into=into,
        shape=into[0].shape,
        compute=compute,
    )


def lstm_cell(from_input: Array, from_state: Array, cell: Array, *, name: str) -> Array:
    """C' = sigmoid(forget) * c + sigmoid(input) * tanh(new), in place of c [B, H].

    Of the gates [B, 4H] it reads the first three (Hochreiter and Schmidhuber 1997; the forget gate
    is that of Gers et al. 2000).
    """
    elements = _units(from_input, from_state, (cell,), gates=4, op="lstm_cell")
    read_bytes = 3 * elements * DTYPE_BYTES[from_input.dtype]

    def compute(a: Values, b: Values, before: Values, slot: Values) -> Values:
        entering, forget, new, _ = np.split(a + b, 4, axis=-1)  # [B, H] each
        slot[...] = sigmoid(forget) * before + sigmoid(entering) * np.tanh(new)
        return slot

    return from_input.tracer.record(
        kind="lstm_cell",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": elements},
        flops=10 * elements,  # three sums; two sigmoids of 2; two products and their sum
        transcendentals=3 * elements,  # two exp, tanh
        reads=((from_input, read_bytes, 0), (from_state, read_bytes, 0), cell),
        updates=cell,
        shape=cell.shape,
        compute=compute,
    )


def lstm_hidden(
    from_input: Array, from_state: Array, cell: Array, *, into: Places, name: str
) -> Array:
    """H = sigmoid(output) * tanh(c), of the cell c [B, H] and the last of the gates [B, 4H].

    Under a batch a row's output gates are 4H apart; the operation counts their bytes and where
    they begin.
    """
    elements = _units(from_input, from_state, (cell, *into), gates=4, op="lstm_hidden")
    element_bytes = DTYPE_BYTES[from_input.dtype]
    part = (elements * element_bytes, 3 * cell.shape[-1] * element_bytes)

    def compute(a: Values, b: Values, cell: Values) -> Values:
        width = cell.shape[-1]
        out = sigmoid(a[:, 3 * width :] + b[:, 3 * width :])  # [B, H]
        result: Values = out * np.tanh(cell)
        return result

    return from_input.tracer.record(
        kind="lstm_hidden",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": elements},
        flops=4 * elements,  # a sum, a sigmoid of 2, a product
        transcendentals=2 * elements,  # exp, tanh
        reads=((from_input, *part), (from_state, *part), cell),
        into=into,
        shape=into[0].shape,
        compute=compute,
    )


def gru_cell(
    from_input: Array, from_state: Array, hidden: Array, *, into: Places, name: str
) -> Array:
    """H' = (1 - z) * n + z * h, of h [B, H] and gates a and b [B, 3H].

    r = sigmoid(reset), z = sigmoid(update), n = tanh(a_new + r * b_new): the reset gate multiplies
    the product with the state, bias included, as in torch.nn and cuDNN, not the state before the
    product as in Cho et al. 2014.
    """
    elements = _units(from_input, from_state, (hidden, *into), gates=3, op="gru_cell")

    def compute(a: Values, b: Values, before: Values) -> Values:
        width = before.shape[-1]
        reset, update = np.split(sigmoid(a[:, : 2 * width] + b[:, : 2 * width]), 2, axis=-1)
        new = np.tanh(a[:, 2 * width :] + reset * b[:, 2 * width :])  # [B, H]
        result: Values = (1 - update) * new + update * before
        return result

    return from_input.tracer.record(
        kind="gru_cell",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": elements},
        flops=12 * elements,  # two sums, two sigmoids of 2; product, sum; 1 -, two products, sum
        transcendentals=3 * elements,  # two exp, tanh
        reads=(from_input, from_state, hidden),
        into=into,
        shape=into[0].shape,
        compute=compute,
    )


def _units(from_input: Array, from_state: Array, states: Places, *, gates: int, op: str) -> int:
    """Check the shapes; B*H, the elements of a state."""
    batch, width = states[0].shape if len(states[0].shape) == 2 else (0, 0)
    fits = from_input.shape == from_state.shape == (batch, gates * width)
    fits = fits and batch > 0 and all(state.shape == (batch, width) for state in states)
    rule = f"gates are [B, {gates * width}] of states [B, H]"
    need(fits=fits, op=op, rule=rule, a=from_input, b=from_state, state=states[0])
    return batch * width
