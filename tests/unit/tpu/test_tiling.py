"""Attention in blocks of rows, so that its scores stay on chip."""

import pytest
from tpu_cases import Builder, spec, tensor

from sim.lowering import Traffic
from sim.tpu.machine import TpuMachine
from sim.tpu.tiling import AttentionTiling
from workloads.trace import Family, Op, Role


def attention(rows: int, context: int, *, heads: int = 2) -> tuple[Builder, list[Op]]:
    builder = Builder()
    query = tensor("query", heads, rows, 4)
    keys = tensor("keys", heads, 4, context, role=Role.KV_CACHE)
    values = tensor("values", heads, context, 4, role=Role.KV_CACHE)
    scores, weights = (tensor(name, heads, rows, context) for name in ("scores", "weights"))
    mixed = tensor("mixed", heads, rows, 4)
    softmax = builder.op(
        Family.ROWWISE,
        {"rows": heads * rows, "cols": context, "passes": 3},
        (scores,),
        weights,
        kind="softmax",
    )
    return builder, [
        builder.matmul(query, keys, scores, batch=heads),
        softmax,
        builder.matmul(weights, values, mixed, batch=heads),
    ]


def test_scores_that_fit_are_left_as_they_are() -> None:
    builder, ops = attention(8, 16)
    tiling = AttentionTiling(builder.trace(*ops), activation_bytes=2 * 8 * 16 * 4)
    assert [tiling.of(op) for op in ops] == [None] * 3


@pytest.mark.parametrize(("room", "blocks"), [(1023, 3), (512, 4), (256, 8)])
def test_a_block_of_scores_and_weights_takes_half_the_room(room: int, blocks: int) -> None:
    builder, ops = attention(8, 16)  # a row of each, for both tensors: 128 bytes
    trace = builder.trace(*ops)
    chain = [op for block in trace.blocks for op in block.ops]
    assert AttentionTiling(trace, room).of(chain[0]) is None  # three blocks are no chain
    one = type(trace.blocks[0])(ops=tuple(chain))
    tiling = AttentionTiling(type(trace)(**{**vars(trace), "blocks": (one,)}), room)
    tile = tiling.of(chain[1])
    assert tile is not None
    assert tile.blocks == blocks


def test_rows_too_long_for_the_chip_are_not_tiled() -> None:
    builder, ops = attention(8, 16)
    trace = builder.trace(*ops)
    one = type(trace.blocks[0])(ops=tuple(ops))
    tiling = AttentionTiling(type(trace)(**{**vars(trace), "blocks": (one,)}), 255)
    assert tiling.of(ops[0]) is None


def test_tiled_scores_never_reach_main_memory() -> None:
    machine = TpuMachine(spec("toy-4x4", scratchpad__capacity_bytes="4 KiB"))
    builder, ops = attention(64, 32)
    trace = builder.trace(*ops)
    one = type(trace.blocks[0])(ops=tuple(ops))
    moved = {}
    for name, blocks in (("apart", trace.blocks), ("tiled", (one,))):
        machine.start(type(trace)(**{**vars(trace), "blocks": blocks}))
        lowered = [machine.lower(op, None) for op in ops]
        moved[name] = [op.traffic["dram"] for op in lowered]
    scores = 2 * 64 * 32 * 4
    made, weighted, _ = (
        apart.written_bytes - tiled.written_bytes
        for apart, tiled in zip(moved["apart"], moved["tiled"], strict=True)
    )
    assert (made, weighted) == (scores, scores)
    assert moved["tiled"][1] == Traffic()
    assert moved["tiled"][2].read_bytes == 2 * 32 * 4 * 4  # the values alone
