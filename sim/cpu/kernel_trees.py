"""How often each piece of an executed kernel runs: one function a kernel, in the text's order.

Every function takes a `Walker` on its kernel, the call's numbers, and what the operands' lines
cost, in the order of the call's addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sim.cpu.kernel_code import Cut, Lines, Walker, preamble
from sim.cpu.riscv.calls import FLOAT_BYTES, GROUP, Call
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A call with its operands' costs; addresses are offsets within a cache line."""

    call: Call
    costs: tuple[Sources, ...]
    line_bytes: int


class KernelTrees:
    """Builds the programs of calls, and keeps them, so that equal calls are timed once.

    Models: the executed kernels' own instructions, loop by loop, with the calls' arguments.
    Ignores: branches that values decide: no number in argmax is larger than the row's first and
    none is NaN, and every exponential is in range; lines that two calls share at their ends.
    Source: `sim/cpu/riscv/kernels`; the property tests hold counts equal to the executed ones.
    """

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._nodes: dict[Placed, Node] = {}

    def program(self, calls: Sequence[Placed]) -> Node:
        """Return calls one after another; runs of the same call become one repetition."""
        parts: list[Node] = []
        count = 0
        for number, placed in enumerate(calls):
            count += 1
            if number + 1 == len(calls) or calls[number + 1] != placed:
                node = self._node(placed)
                parts.append(node if count == 1 else Repeat(node, count))
                count = 0
        return Chain(*parts)

    def _node(self, placed: Placed) -> Node:
        if placed not in self._nodes:
            call = placed.call
            tree, strides = TREES[call.kernel]
            walker = Walker(call.kernel, strides(*call.numbers), self._cut)
            self._nodes[placed] = Chain(
                self._cut(preamble(call), {}, True),  # noqa: FBT003 - as Cut
                *tree(walker, call.numbers, placed.costs, placed.line_bytes),
            )
        return self._nodes[placed]


def each(count: int, build: Callable[[bool, bool], Node]) -> Node:
    """Return `count` rounds; `build` is told whether it is the first and whether more follow."""
    if count == 1:
        return build(True, False)  # noqa: FBT003 - as said above
    middle = Repeat(build(False, True), count - 2)  # noqa: FBT003 - as said above
    return Chain(build(True, True), middle, build(False, False))  # noqa: FBT003 - as said above


def _by(costs: Costs, registers: str, *, first: bool = True) -> Lines:
    """Give registers, in the order of the addresses, their operands' costs."""
    return {name: cost[first] for name, cost in zip(registers.split(), costs, strict=False)}


def _one_loop(kernel: str, registers: str) -> Callable[[Walker, Numbers, Costs, int], Nodes]:
    """Return the tree of a kernel that is one loop over elements."""

    def tree(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
        yield code.code(kernel, f"{kernel}_next", {"t1": costs[-1].first})
        yield code.loop(f"{kernel}_next", f"{kernel}_end", numbers[0], _by(costs, registers))
        yield code.code(f"{kernel}_end")

    return tree


def _embedding(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    tokens, columns = numbers
    ids, table, result = costs

    def token(_first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
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


def _rmsnorm(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    rows, columns = numbers
    x, weight, result = costs

    def row(first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
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


def _layernorm(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    rows, columns = numbers
    x, weight, bias, result = costs

    def row(first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
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


def _softmax(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    rows, columns = numbers
    x, result, constants = costs

    def row(_first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
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


def _rope(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
    heads, pairs, _, apart = numbers
    x, result, cosines, sines = costs

    def head(first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
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


def _argmax(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    rows, columns = numbers
    x, result = costs

    def row(_first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
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


def _columns(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
    groups, k, row, group = numbers
    yield code.code("matmul_columns", "matmul_columns_group")
    yield _dots(
        code,
        ("matmul_columns", "group", "store"),
        groups,
        k,
        costs,
        shared=_shared(row, group, line),
    )
    yield code.code("matmul_columns_end")


def _column(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
    columns, k, row, column = numbers
    yield code.code("matmul_column", "matmul_column_next")
    yield _dots(
        code,
        ("matmul_column", "next", "store"),
        columns,
        k,
        costs,
        shared=_shared(row, column, line),
    )
    yield code.code("matmul_column_end")


def _shared(row: int, step: int, line: int) -> int:
    """Return how many neighbouring walks down W share their lines."""
    return max(line // step, 1) if step < row else 1


def _dots(  # noqa: PLR0913 - a loop nest's extents and costs
    code: Walker, labels: tuple[str, str, str], count: int, k: int, costs: Costs, *, shared: int
) -> Node:
    """Return the loops over groups of columns and over k; `shared` groups use the same lines."""
    kernel, begin, store = labels
    x, weight, result = costs

    def group(first: bool, more: bool, new_lines: bool) -> Node:  # noqa: FBT001 - as `each` says
        lines = {"t2": x[first], "t3": weight[new_lines]}
        return Chain(
            code.code(f"{kernel}_{begin}", f"{kernel}_row"),
            code.loop(f"{kernel}_row", f"{kernel}_{store}", k, lines),
            code.code(
                f"{kernel}_{store}", f"{kernel}_end", {"a2": result.first}, taken=more
            ),
        )

    if shared == 1:
        return each(count, lambda first, more: group(first, more, True))  # noqa: FBT003 - as above
    return _runs(count, shared, group)


def _runs(count: int, length: int, build: Callable[[bool, bool, bool], Node]) -> Node:
    """Return rounds of which the first of each `length` finds new lines."""
    if count == 1:
        return build(True, False, True)  # noqa: FBT003 - as said above
    whole, rest = divmod(count - 2, length)
    new, old = build(False, True, True), build(False, True, False)  # noqa: FBT003 - as above
    run = [new if place % length == 0 else old for place in range(1, length + 1)]
    last_is_new = (count - 1) % length == 0
    return Chain(
        build(True, True, True),  # noqa: FBT003 - as said above
        Repeat(Chain(*run), whole),
        *run[:rest],
        build(False, False, last_is_new),  # noqa: FBT003 - as said above
    )


def _rows(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    groups, k, _ = numbers
    x, weight, result = costs
    fours, rest = divmod(k, GROUP)

    def group(first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
        lines = {"t2": x[first], **dict.fromkeys(("t3", "t4", "t5", "t6"), weight.first)}
        parts = [code.code("matmul_rows_group", "matmul_rows_four", taken=not fours)]
        if fours:
            parts.append(code.loop("matmul_rows_four", "matmul_rows_rest", fours, lines))
        one = Chain(
            code.code("matmul_rows_rest", "matmul_rows_one"),
            code.code("matmul_rows_one", "matmul_rows_store", lines),
        )
        parts += [one] * rest
        parts.append(code.code("matmul_rows_rest", "matmul_rows_one", taken=True))
        parts.append(
            code.code("matmul_rows_store", "matmul_rows_end", {"a2": result.first}, taken=more)
        )
        return Chain(*parts)

    yield code.code("matmul_rows", "matmul_rows_group")
    yield each(groups, group)
    yield code.code("matmul_rows_end")


def _pack(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    groups, k, _ = numbers
    x, buffer = costs
    lines = {**dict.fromkeys(("t0", "t1", "t2", "t3"), x.first), "a1": buffer.first}

    def group(_first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
        return Chain(
            code.code("gemm_pack_group", "gemm_pack_next"),
            code.loop("gemm_pack_next", "gemm_pack_more", k, lines),
            code.code("gemm_pack_more", "gemm_pack_end", taken=more),
        )

    yield code.code("gemm_pack", "gemm_pack_group")
    yield each(groups, group)
    yield code.code("gemm_pack_end")


def _tiles(adds: bool) -> Callable[[Walker, Numbers, Costs, int], Nodes]:  # noqa: FBT001 - one of two
    """Return the tree of `gemm_tiles`, or of `gemm_tiles_add`."""

    def tree(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
        groups, panels, k, _, row = numbers
        _, weight, result = costs

        def panel(_first: bool, more: bool, new_lines: bool) -> Node:  # noqa: FBT001 - as `each` says
            c = result[new_lines] if new_lines else LineCost()

            def tile(first: bool, more: bool) -> Node:  # noqa: FBT001 - as `each` says
                b = weight.first if first else LineCost()
                if adds:
                    start = [
                        code.code("gemm_tile", "gemm_load"),
                        code.code("gemm_load", "gemm_zero", {"t4": c}),
                    ]
                else:
                    start = [
                        code.code("gemm_tile", "gemm_load", taken=True),
                        code.code("gemm_zero", "gemm_k"),
                    ]
                return Chain(
                    *start,
                    code.loop("gemm_k", "gemm_store", k, {"t3": b}),
                    code.code(
                        "gemm_store", "gemm_next", {} if adds else {"t6": c}, taken=more
                    ),
                )

            return Chain(
                code.code("gemm_panel", "gemm_tile"),
                each(groups, tile),
                code.code("gemm_next", "gemm_end", taken=more),
            )

        if adds:
            yield code.code("gemm_tiles_add", "gemm_tiles")
        else:
            yield code.code("gemm_tiles", "gemm_begin")
        yield code.code("gemm_begin", "gemm_panel")
        width = GROUP * FLOAT_BYTES
        yield _runs(panels, max(line // width, 1) if row > width else 1, panel)
        yield code.code("gemm_end")

    return tree


Tree = Callable[[Walker, Numbers, Costs, int], Nodes]
Strides = Callable[..., Mapping[str, int]]


def _none(*_numbers: int) -> Mapping[str, int]:
    return {}


def _two(_count: int, _k: int, row: int, step: int) -> Mapping[str, int]:
    return {"a5": row, "a6": step}


def _of_tiles(_groups: int, _panels: int, _k: int, panel: int, row: int) -> Mapping[str, int]:  # noqa: PLR0917 - as the kernel's registers
    return {"a6": panel, "a7": row}


TREES: Mapping[str, tuple[Tree, Strides]] = {
    "embedding": (_embedding, _none),
    "rmsnorm": (_rmsnorm, _none),
    "layernorm": (_layernorm, _none),
    "softmax": (_softmax, _none),
    "rope": (
        _rope,
        lambda _, pairs, step, apart: {"t0": 2 * FLOAT_BYTES * pairs, "a6": step, "a7": apart},
    ),
    "argmax": (_argmax, _none),
    "cache_append": (_one_loop("cache_append", "a0 a1"), _none),
    "residual_add": (_one_loop("residual_add", "a0 a1 a2"), _none),
    "swiglu": (_one_loop("swiglu", "a0 a1 a2"), _none),
    "gelu": (_one_loop("gelu", "a0 a1"), _none),
    "matmul_columns": (_columns, _two),
    "matmul_column": (_column, _two),
    "matmul_rows": (_rows, lambda _groups, _k, row: {"a5": row}),
    "gemm_pack": (_pack, lambda _groups, _k, row: {"a4": row}),
    "gemm_tiles": (_tiles(adds=False), _of_tiles),
    "gemm_tiles_add": (_tiles(adds=True), _of_tiles),
}
"""By kernel: its tree, and what its registers that are added to pointers hold, in bytes."""
