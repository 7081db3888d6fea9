"""Calls of the executed kernels as programs of nested loops, each kept once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sim.cpu.kernel_code import Cut, Walker, preamble
from sim.cpu.kernel_products import column, columns, pack, rows, tiles
from sim.cpu.kernel_rows import (
    Costs,
    Nodes,
    Numbers,
    Sources,
    argmax,
    embedding,
    layernorm,
    one_loop,
    rmsnorm,
    rope,
    softmax,
)
from sim.cpu.riscv.calls import FLOAT_BYTES, Call
from sim.cpu.steady import Chain, Node, Repeat

Tree = Callable[[Walker, Numbers, Costs, int], Nodes]
Strides = Callable[..., Mapping[str, int]]


def _none(*_numbers: int) -> Mapping[str, int]:
    return {}


def _two(_count: int, _k: int, row: int, step: int) -> Mapping[str, int]:
    return {"a5": row, "a6": step}


def _of_tiles(_groups: int, _panels: int, _k: int, panel: int, row: int) -> Mapping[str, int]:
    return {"a6": panel, "a7": row}


TREES: Mapping[str, tuple[Tree, Strides]] = {
    "embedding": (embedding, _none),
    "rmsnorm": (rmsnorm, _none),
    "layernorm": (layernorm, _none),
    "softmax": (softmax, _none),
    "rope": (
        rope,
        lambda _, pairs, step, apart: {"t0": 2 * FLOAT_BYTES * pairs, "a6": step, "a7": apart},
    ),
    "argmax": (argmax, _none),
    "cache_append": (one_loop("cache_append", "a0 a1"), _none),
    "residual_add": (one_loop("residual_add", "a0 a1 a2"), _none),
    "swiglu": (one_loop("swiglu", "a0 a1 a2"), _none),
    "gelu": (one_loop("gelu", "a0 a1"), _none),
    "matmul_columns": (columns, _two),
    "matmul_column": (column, _two),
    "matmul_rows": (rows, lambda _groups, _k, row: {"a5": row}),
    "gemm_pack": (pack, lambda _groups, _k, row: {"a4": row}),
    "gemm_tiles": (tiles(adds=False), _of_tiles),
    "gemm_tiles_add": (tiles(adds=True), _of_tiles),
}
"""By kernel: its tree, and what its registers that are added to pointers hold, in bytes."""


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
        self._walkers: dict[tuple[str, tuple[tuple[str, int], ...]], Walker] = {}

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
            walker = self._walker(call.kernel, strides(*call.numbers))
            self._nodes[placed] = Chain(
                self._cut(preamble(call), {}, True),
                *tree(walker, call.numbers, placed.costs, placed.line_bytes),
            )
        return self._nodes[placed]

    def _walker(self, kernel: str, strides: Mapping[str, int]) -> Walker:
        key = kernel, tuple(strides.items())
        if key not in self._walkers:
            self._walkers[key] = Walker(kernel, strides, self._cut)
        return self._walkers[key]
