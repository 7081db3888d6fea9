"""How often each piece of a product's kernel runs: `matmul.s` and `gemm.s`, as in `kernel_rows`."""

from __future__ import annotations

from collections.abc import Callable

from sim.cpu.kernel_code import Walker
from sim.cpu.kernel_rows import Costs, Nodes, Numbers, each
from sim.cpu.riscv.calls import FLOAT_BYTES, GROUP
from sim.cpu.steady import Chain, LineCost, Node, Repeat


def columns(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
    """Return `matmul_columns`: four dot products at a time."""
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


def column(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
    """Return `matmul_column`: one dot product at a time."""
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


def _dots(
    code: Walker, labels: tuple[str, str, str], count: int, k: int, costs: Costs, *, shared: int
) -> Node:
    """Return the loops over groups of columns and over k; `shared` groups use the same lines."""
    kernel, begin, store = labels
    x, weight, result = costs

    def group(first: bool, more: bool, new_lines: bool) -> Node:
        lines = {"t2": x[first], "t3": weight[new_lines]}
        return Chain(
            code.code(f"{kernel}_{begin}", f"{kernel}_row"),
            code.loop(f"{kernel}_row", f"{kernel}_{store}", k, lines),
            code.code(f"{kernel}_{store}", f"{kernel}_end", {"a2": result.first}, taken=more),
        )

    if shared == 1:
        return each(count, lambda first, more: group(first, more, True))
    return _runs(count, shared, group)


def _runs(count: int, length: int, build: Callable[[bool, bool, bool], Node]) -> Node:
    """Return rounds of which the first of each `length` finds new lines."""
    if count == 1:
        return build(True, False, True)
    whole, rest = divmod(count - 2, length)
    new, old = build(False, True, True), build(False, True, False)
    run = [new if place % length == 0 else old for place in range(1, length + 1)]
    last_is_new = (count - 1) % length == 0
    return Chain(
        build(True, True, True),
        Repeat(Chain(*run), whole),
        *run[:rest],
        build(False, False, last_is_new),
    )


def rows(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    """Return `matmul_rows`: dot products with four rows of a transposed weight."""
    groups, k, _ = numbers
    x, weight, result = costs
    fours, rest = divmod(k, GROUP)

    def group(first: bool, more: bool) -> Node:
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


def pack(code: Walker, numbers: Numbers, costs: Costs, _line: int) -> Nodes:
    """Return `gemm_pack`: groups of four rows of A."""
    groups, k, _ = numbers
    x, buffer = costs
    lines = {**dict.fromkeys(("t0", "t1", "t2", "t3"), x.first), "a1": buffer.first}

    def group(_first: bool, more: bool) -> Node:
        return Chain(
            code.code("gemm_pack_group", "gemm_pack_next"),
            code.loop("gemm_pack_next", "gemm_pack_more", k, lines),
            code.code("gemm_pack_more", "gemm_pack_end", taken=more),
        )

    yield code.code("gemm_pack", "gemm_pack_group")
    yield each(groups, group)
    yield code.code("gemm_pack_end")


def tiles(adds: bool) -> Callable[[Walker, Numbers, Costs, int], Nodes]:
    """Return the tree of `gemm_tiles`, or of `gemm_tiles_add`."""

    def tree(code: Walker, numbers: Numbers, costs: Costs, line: int) -> Nodes:
        groups, panels, k, _, row = numbers
        _, weight, result = costs

        def panel(_first: bool, more: bool, new_lines: bool) -> Node:
            c = result[new_lines] if new_lines else LineCost()

            def tile(first: bool, more: bool) -> Node:
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
                    code.code("gemm_store", "gemm_next", {} if adds else {"t6": c}, taken=more),
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
