"""From a trace to line addresses, worked out by hand on small tensors, then on a real model."""

import numpy as np
import pytest

from sim.errors import TokenclockError
from sim.memory.layout import ROLES, address_lines, trace_lines
from workloads import generate, load_model
from workloads.trace import Access, Block, Family, Op, Phase, Role, Tensor, Trace


def tensor(name, role, shape, address, **more):
    return Tensor(name=name, role=role, shape=shape, dtype="float32", address=address, **more)


TENSORS = (
    tensor("weight", Role.WEIGHT, (32,), 0, layers=2, layer_stride_bytes=128),
    tensor("cache", Role.KV_CACHE, (4, 16), 256),
    tensor("x", Role.ACTIVATION, (16,), 512),
)


def op(reads, writes, **more):
    plain = {
        "kind": "add",
        "family": Family.ELEMENTWISE,
        "dims": {"elements": 16},
        "flops": 16,
        "dtype": "float32",
        "phase": Phase.PREFILL,
        "step": 0,
        "name": "add",
    }
    return Op(**{**plain, **more}, reads=reads, writes=writes)


def trace_of(*blocks):
    return Trace(
        model="by hand",
        dtype="float32",
        batch=1,
        prompt_tokens=1,
        new_tokens=2,
        tensors=TENSORS,
        blocks=blocks,
    )


def joined(pieces):
    pieces = list(pieces)
    return (
        np.concatenate([piece.lines for piece in pieces]).tolist(),
        np.concatenate([piece.writes for piece in pieces]).astype(int).tolist(),
        [str(ROLES[role]) for piece in pieces for role in piece.roles],
    )


def test_an_operation_streams_its_reads_then_its_writes():
    trace = trace_of(Block(ops=(op((Access(0, 128), Access(2, 64)), (Access(2, 64),)),)))
    lines, writes, roles = joined(trace_lines(trace, 64))
    assert lines == [0, 1, 8, 8]
    assert writes == [0, 0, 0, 1]
    assert roles == ["weight", "weight", "activation", "activation"]


def test_each_layer_reads_its_own_weights():
    trace = trace_of(Block(ops=(op((Access(0, 128),), (), layer=0),), repeats=2))
    assert joined(trace_lines(trace, 64))[0] == [0, 1, 2, 3]
    assert joined(trace_lines(trace, 64, layer=1))[0] == [2, 3]


def test_a_position_is_appended_where_it_belongs_and_only_the_prefix_is_read():
    appended = op((), (Access(1, 64, 128),), step=1, phase=Phase.DECODE)
    read = op((Access(1, 192),), (), step=1, phase=Phase.DECODE)
    trace = trace_of(Block(ops=(appended, read)))
    assert joined(trace_lines(trace, 64, step=1))[0] == [6, 4, 5, 6]


def test_bytes_that_cross_a_line_touch_both_lines():
    trace = trace_of(Block(ops=(op((Access(1, 8, 60),), ()),)))
    assert joined(trace_lines(trace, 64))[0] == [4, 5]


def test_gathered_rows_are_distinct_rows_of_the_table():
    rows = op(
        (Access(1, 128), Access(2, 16)),
        (),
        family=Family.GATHER,
        dims={"rows": 2, "cols": 16},
        kind="gather",
    )
    lines = joined(trace_lines(trace_of(Block(ops=(rows,))), 64))[0]
    assert len(set(lines[:2])) == 2
    assert all(4 <= line < 8 for line in lines[:2])
    assert lines[2:] == [8]


@pytest.mark.parametrize("piece_lines", [1, 7, 1000])
def test_pieces_of_any_size_hold_the_same_stream(piece_lines):
    trace = generate(
        load_model("glassllm-en"), None, prompt_tokens=4, new_tokens=2, execute=False
    ).trace
    whole = joined(trace_lines(trace, 64, step=1, layer=0, piece_lines=10**6))
    pieces = list(trace_lines(trace, 64, step=1, layer=0, piece_lines=piece_lines))
    assert joined(pieces) == whole
    assert {len(piece) for piece in pieces[:-1]} <= {piece_lines}


def test_a_models_stream_holds_every_weight_line_once_a_step():
    trace = generate(
        load_model("glassllm-en"), None, prompt_tokens=4, new_tokens=3, execute=False
    ).trace
    is_weight = ROLES.index(Role.WEIGHT)
    pieces = trace_lines(trace, 64, step=2)
    lines = np.concatenate([piece.lines[piece.roles == is_weight] for piece in pieces])
    for at in (tensor for tensor in trace.tensors if tensor.layers > 1):
        if at.role is Role.WEIGHT:
            first, last = at.address // 64, (at.address + at.bytes - 1) // 64
            inside = lines[(lines >= first) & (lines <= last)]
            assert sorted(inside.tolist()) == list(range(first, last + 1)), at.name


def test_a_step_that_is_not_there_is_refused_with_what_is():
    trace = trace_of(Block(ops=(op((Access(0, 128),), ()),)))
    with pytest.raises(TokenclockError, match="nothing at step 7, layer any; it has steps 0 to 0"):
        trace_lines(trace, 64, step=7)


def test_recorded_accesses_become_the_lines_they_touch():
    pieces = address_lines(
        np.array([0, 60, 128, 200]),
        np.array([8, 8, 200, 0], dtype=np.uint8),
        np.array([False, True, False, False]),
        64,
        piece_lines=3,
    )
    lines, writes, _ = joined(pieces)
    assert lines == [0, 0, 1, 2, 3, 4, 5, 3]
    assert writes == [0, 1, 1, 0, 0, 0, 0, 0]
