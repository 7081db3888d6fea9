"""How often each piece of a row kernel runs: one function a kernel, in the text's order.

Every function takes a `Walker` on its kernel, the call's numbers, what the operands' lines cost, in
the order of the call's addresses, and the length of a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sim.cpu.kernel_code import Lines, Walker
from sim.cpu.steady import Chain, LineCost, Node, Repeat


@dataclass(frozen=True, slots=True)
class Sources:
    """What a line of an operand costs: when first touched, and when walked again."""

    first: LineCost
    again: LineCost

    def __getitem__(self, first: object) -> LineCost:
        """Return the one or the other."""
        return self.first if first else self.again


Costs = Sequence[Sources]
Numbers = Sequence[int]
Nodes = Iterator[Node]


def each(count: int, build: Callable[[bool, bool], Node]) -> Node:
    """Return `count` rounds; `build` is told whether it is the first and whether more follow."""
    if count == 1:
        return build(True, False)
    middle = Repeat(build(False, True), count - 2)
    return Chain(build(True, True), middle, build(False, False))


def _by(costs: Costs, registers: str, *, first: bool = True) -> Lines:
    """Give registers, in the order of the addresses, their operands' costs."""
    return {name: cost[first] for name, cost in zip(registers.split(), costs, strict=False)}


def one_loop(kernel: str, registers: str) -> Callable[[Walker, Numbers, Costs, int], Nodes]:
    """Return the tree of a kernel that is one loop over elements."""

    def tree(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
        yield code.code(kernel, f"{kernel}_next", {"t1": costs[-1].first})
        yield code.loop(f"{kernel}_next", f"{kernel}_end", numbers[0], _by(costs, registers))
        yield code.code(f"{kernel}_end")

    return tree


def embedding(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    """Return rows of a table, token by token."""
    tokens, columns = numbers
    ids, table, result = costs

    def token(_first: bool, more: bool) -> Node:
        return Chain(
            code.code("embedding_token", "embedding_element", {"a0": ids.first}),
            code.loop(
                "embedding_element",
                "embedding_next",
                columns,
                {"t0": table.first, "a2": result.first},
            ),
            code.code("embedding_next", "embedding_end", taken=more),
        )

    yield code.code("embedding", "embedding_token")
    yield each(tokens, token)
    yield code.code("embedding_end")


def rmsnorm(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    """Return two walks down each row: squares, then scaling."""
    rows, columns = numbers
    x, weight, result = costs

    def row(first: bool, more: bool) -> Node:
        scaled = {"a0": x.again, "t3": weight[first], "a2": result.first}
        return Chain(
            code.code("rmsnorm_row", "rmsnorm_square"),
            code.loop("rmsnorm_square", "rmsnorm_root", columns, {"t2": x.first}),
            code.code("rmsnorm_root", "rmsnorm_scale"),
            code.loop("rmsnorm_scale", "rmsnorm_more", columns, scaled),
            code.code("rmsnorm_more", "rmsnorm_end", taken=more),
        )

    yield code.code("rmsnorm", "rmsnorm_row")
    yield each(rows, row)
    yield code.code("rmsnorm_end")


def layernorm(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    """Return three walks down each row: sum, squares, then scaling."""
    rows, columns = numbers
    x, weight, bias, result = costs

    def row(first: bool, more: bool) -> Node:
        scaled = {"a0": x.again, "t3": weight[first], "t4": bias[first], "a3": result.first}
        return Chain(
            code.code("layernorm_row", "layernorm_sum"),
            code.loop("layernorm_sum", "layernorm_mean", columns, {"t2": x.first}),
            code.code("layernorm_mean", "layernorm_square"),
            code.loop("layernorm_square", "layernorm_root", columns, {"t2": x.again}),
            code.code("layernorm_root", "layernorm_scale"),
            code.loop("layernorm_scale", "layernorm_more", columns, scaled),
            code.code("layernorm_more", "layernorm_end", taken=more),
        )

    yield code.code("layernorm", "layernorm_row")
    yield each(rows, row)
    yield code.code("layernorm_end")


def softmax(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    """Return three walks down each row: maximum, exponentials, quotients."""
    rows, columns = numbers
    x, result, constants = costs

    def row(_first: bool, more: bool) -> Node:
        return Chain(
            code.code("softmax_row", "softmax_maximum"),
            code.loop("softmax_maximum", "softmax_sum", columns, {"t5": x.first}),
            code.code("softmax_sum", "softmax_exponential"),
            code.loop(
                "softmax_exponential",
                "softmax_quotient",
                columns,
                {"a0": x.again, "t6": result.first},
            ),
            code.loop("softmax_quotient", "softmax_more", columns, {"a1": result.again}),
            code.code("softmax_more", "softmax_end", taken=more),
        )

    yield code.code("softmax", "softmax_row", {"t1": constants.first})
    yield each(rows, row)
    yield code.code("softmax_end")


def rope(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
    """Return the pairs of each head."""
    heads, pairs, _, apart = numbers
    x, result, cosines, sines = costs

    def head(first: bool, more: bool) -> Node:
        lines = {"t4": x.first, "t5": result.first, "t2": cosines[first], "t3": sines[first]}
        if apart >= line:  # else the second of a pair is in the first's line
            lines |= {"t6": x.first, "a5": result.first}
        return Chain(
            code.code("rope_head", "rope_pair"),
            code.loop("rope_pair", "rope_next", pairs, lines),
            code.code("rope_next", "rope_end", taken=more),
        )

    yield code.code("rope", "rope_head")
    yield each(heads, head)
    yield code.code("rope_end")


def argmax(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    """Return one walk down each row, of which no later number is larger."""
    rows, columns = numbers
    x, result = costs

    def row(_first: bool, more: bool) -> Node:
        walk = {"a0": LineCost(), "t1": x.first}
        look = Chain(
            code.code("argmax_next", "argmax_look"),
            code.code("argmax_look", "argmax_better", walk, taken=True),
        )
        return Chain(
            code.code("argmax_row", "argmax_next", {"a0": x.first}),
            Repeat(look, columns - 1),
            code.code("argmax_next", "argmax_look", taken=True),
            code.code("argmax_store", "argmax_end", {"a1": result.first}, taken=more),
        )

    yield code.code("argmax", "argmax_row")
    yield each(rows, row)
    yield code.code("argmax_end")
