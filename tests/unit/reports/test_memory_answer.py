"""What a stream does to caches, by hand on a few lines, and against itself on a model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import memory
from reports.charts.miss_ratio import miss_ratio
from reports.charts.misses import misses
from reports.memory import analyse, levels_of
from sim.errors import SpecError, TokenclockError
from sim.machine import load_machine
from sim.memory.layout import Piece, trace_lines
from sim.memory.port import dram_profile
from workloads import generate, load_model

CPU = "cpu-5stage"  # L1 of 32 KiB: 512 lines, 64 sets of 8
GPU = "gpu-a100-sxm-80gb"


def spec(name, **overrides):
    return load_machine(
        name, overrides={k.replace("__", "."): v for k, v in overrides.items()}
    ).spec


def piece(lines, writes=None):
    lines = np.array(lines, dtype=np.int64)
    written = np.zeros(len(lines), dtype=np.bool_) if writes is None else np.array(writes, bool)
    return Piece(lines=lines, writes=written, roles=np.full(len(lines), -1, dtype=np.int8))


def first_level(lines, name=CPU, writes=None):
    return analyse([piece(lines, writes)], spec(name), workload="by hand").levels[0]


def counts(row):
    return row.accesses, row.hits, row.cold, row.capacity, row.conflict


def test_first_touches_are_cold_and_the_second_ones_hit():
    assert counts(first_level([0, 1, 2, 0, 1, 2])) == (6, 3, 3, 0, 0)


def test_more_lines_than_the_cache_holds_are_capacity_misses():
    assert counts(first_level([*range(1024)] * 2)) == (2048, 0, 1024, 1024, 0)


def test_lines_of_one_set_are_conflict_misses():
    nine = [64 * number for number in range(9)]
    assert counts(first_level(nine * 2)) == (18, 0, 9, 0, 9)
    assert counts(first_level(nine[:8] * 2)) == (16, 8, 8, 0, 0)


def test_a_written_line_is_written_back_once_when_it_leaves():
    row = first_level([0, *range(64, 64 * 9 + 1, 64)], writes=[True] + [False] * 9)
    assert row.written_back_bytes == 64


def test_main_memory_takes_its_bytes_over_what_a_stream_gets_out_of_its_dram():
    cpu = spec(CPU)
    answer = analyse([piece(range(1000))], cpu, workload="by hand")
    assert answer.memory_read_bytes == 64_000
    share = dram_profile(cpu.memory.dram).reading
    assert 0.9 < share < 1
    assert answer.least_seconds == pytest.approx(64_000 / 12.8e9 / share)


def test_a_second_level_sees_only_what_the_first_lacks():
    lines = [64 * number for number in range(9)] * 2
    l1, l2, llc = analyse([piece(lines)], spec("cpu-simd-8core"), workload="by hand").levels
    assert (l1.hits, l2.accesses, l2.hits, llc.accesses) == (0, 18, 9, 9)


def test_the_curve_gives_the_misses_of_every_size_in_one_pass():
    answer = analyse([piece([0, 1, 2, 0, 1, 2])], spec(CPU), workload="by hand")
    curve = answer.curves[0]
    ratio = dict(zip(curve.sizes_bytes, curve.ratios, strict=True))
    assert ratio[2 * 64] == 1.0
    assert ratio[3 * 64] == 0.5


def test_a_gpus_cache_of_unknown_sets_is_fully_associative():
    row = first_level([64 * number for number in range(9)] * 2, GPU)
    assert counts(row) == (18, 9, 9, 0, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=120))
def test_a_fully_associative_level_counts_as_a_cache_of_one_set(accesses):
    lines, writes = zip(*accesses, strict=True)
    one_set = spec(CPU, caches__l1__capacity_bytes="512 B")
    loose = spec(GPU, l2__capacity_bytes="1 KiB")
    set_row = analyse([piece(lines, writes)], one_set, workload="a").levels[0]
    any_row = analyse([piece(lines, writes)], loose, workload="a").levels[0]
    assert counts(set_row) == counts(any_row)
    assert set_row.written_back_bytes * 2 == any_row.written_back_bytes


def test_a_model_is_seen_alike_in_pieces_of_any_size():
    trace = generate(
        load_model("glassllm-en"), None, prompt_tokens=4, new_tokens=2, execute=False
    ).trace
    whole = analyse(trace_lines(trace, 64), spec("cpu-simd-8core"), workload="m")
    parts = analyse(trace_lines(trace, 64, piece_lines=1000), spec("cpu-simd-8core"), workload="m")
    assert whole == parts
    kinds = {row.role: row for row in whole.roles}
    assert kinds["weight"].accesses + kinds["activation"].accesses < whole.accesses
    assert kinds["all"].from_memory_bytes == whole.memory_read_bytes
    for row in whole.levels:
        assert row.hits + row.cold + row.capacity + row.conflict == row.accesses


def test_a_weight_misses_in_any_cache_smaller_than_the_model():
    trace = generate(
        load_model("glassllm-en"), None, prompt_tokens=4, new_tokens=3, execute=False
    ).trace
    answer = analyse(trace_lines(trace, 64), spec(CPU), workload="m")
    weights = next(curve for curve in answer.curves if curve.role == "weight")
    for size, ratio in zip(weights.sizes_bytes, weights.ratios, strict=True):
        if size < trace.weight_bytes:
            assert ratio > 0.99
    assert weights.ratios[-1] < 0.34  # three steps: only the first reads from memory


def test_a_machine_without_caches_is_refused_with_what_to_take():
    with pytest.raises(SpecError, match=r"tpu-v4 has a scratchpad.*take a CPU or a GPU"):
        levels_of(spec("tpu-v4"))


def test_too_long_a_stream_is_refused_with_a_way_out(monkeypatch):
    monkeypatch.setattr(memory, "MOST_LINES", 5)
    with pytest.raises(TokenclockError, match="take one step and one layer"):
        analyse([piece(range(6))], spec(CPU), workload="long")
    with pytest.raises(TokenclockError, match="holds no accesses"):
        analyse([], spec(CPU), workload="empty")


def test_charts_mark_the_caches_and_name_the_parts():
    trace = generate(
        load_model("glassllm-en"), None, prompt_tokens=4, new_tokens=2, execute=False
    ).trace
    answer = analyse(trace_lines(trace, 64), spec("cpu-simd-8core"), workload="m")
    curve = miss_ratio(replace(answer))
    assert {text.get_text() for text in curve.axes[0].texts} == {"L1", "L2", "LLC"}
    assert len(curve.legends[0].get_texts()) == 5
    bars = misses(answer)
    assert [t.get_text().split("\n")[0] for t in bars.axes[0].get_yticklabels()] == [
        *("L1", "L2", "LLC"),
    ]


def test_sets_that_are_no_whole_number_are_refused():
    with pytest.raises(SpecError, match="no whole sets of 9 lines"):
        analyse([piece([0])], spec(CPU, caches__l1__ways=9), workload="by hand")
