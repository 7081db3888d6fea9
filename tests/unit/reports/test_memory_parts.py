"""The parts behind `tokenclock memory`: DRAM, prefetchers, TLBs and time, held to each other."""

import numpy as np
import pytest

from reports.memory import Extras, analyse
from sim.errors import SpecError
from sim.machine import load_machine
from sim.memory.layout import Piece

LINES = 2000


@pytest.fixture(scope="module")
def cpu():
    return load_machine("cpu-5stage").spec


def stream(lines, writes=False):
    lines = np.asarray(lines, dtype=np.int64)
    return [
        Piece(
            lines=lines,
            writes=np.full(len(lines), writes),
            roles=np.full(len(lines), -1, dtype=np.int8),
        )
    ]


def asked(spec, lines, writes=False, **extras):
    return analyse(stream(lines, writes), spec, workload="by hand", extras=Extras(**extras))


def test_dram_gets_every_line_that_the_caches_fetch_or_write_back(cpu):
    read = asked(cpu, range(LINES)).dram
    written = asked(cpu, range(LINES), writes=True).dram
    assert read.lines == read.replayed_lines == LINES
    lines_of_l1 = 512
    assert written.lines == LINES + LINES - lines_of_l1


def test_a_stream_gets_most_of_the_peak_and_scattered_lines_little(cpu):
    scattered = np.random.default_rng(0).permutation(1 << 20)[:LINES]
    near, far = asked(cpu, range(LINES)).dram, asked(cpu, scattered).dram
    assert near.row_hits > 0.8 * LINES > far.row_hits
    assert 0 < far.peak_share < near.peak_share < 1
    assert near.mean_read_latency_seconds <= near.p99_read_latency_seconds


def test_a_machine_whose_dram_is_not_described_has_none_replayed():
    assert asked(load_machine("gpu-a100-sxm-80gb").spec, range(LINES)).dram is None


def test_a_stream_prefetcher_takes_a_streams_misses(cpu):
    (row,) = asked(cpu, range(LINES), prefetchers={"L1": "stream"}).prefetchers
    assert (row.level, row.kind, row.misses_without) == ("l1", "stream", LINES)
    assert row.misses == LINES - row.useful
    assert row.accuracy > 0.9 < row.coverage


def test_a_translation_walks_once_a_page(cpu):
    small = asked(cpu, range(LINES), tlb="skylake").tlb
    large = asked(cpu, range(LINES), tlb="skylake", page_bytes=2 << 20).tlb
    assert small.translations == large.translations == LINES
    assert (small.walks, large.walks) == (-(-LINES * 64 // 4096), 1)
    assert (small.walk_loads, large.walk_loads) == (4 * small.walks, 3)
    assert small.cycles > large.cycles


def test_a_core_that_waits_for_each_load_takes_the_sum_of_their_latencies(cpu):
    row = asked(cpu, [0, 0, 0], timed=3).timed
    assert row.mean_latency_cycles == pytest.approx(row.cycles / 3)
    assert row.busy_cycles + sum(row.stalls.values()) == row.cycles


def test_more_loads_under_way_hide_latency(cpu):
    one = asked(cpu, range(200), timed=200).timed
    four = asked(cpu, range(200), timed=200, outstanding=4).timed
    assert four.cycles < one.cycles / 2
    assert (one.levels[0].most_mshrs, four.levels[0].most_mshrs) == (1, 4)


def test_only_the_first_accesses_are_timed_where_fewer_are_asked_for(cpu):
    assert asked(cpu, range(200), timed=50).timed.accesses == 50


@pytest.mark.parametrize(
    ("extras", "said"),
    [
        ({"prefetchers": {"L2": "stream"}}, "no cache is named 'l2'; .*l1"),
        ({"prefetchers": {"L1": "strem"}}, "no prefetcher is named 'strem'; did you mean"),
        ({"tlb": "skylark"}, "no MMU is named 'skylark'; did you mean 'skylake'"),
        ({"tlb": "skylake", "page_bytes": 8192}, "8192"),
    ],
)
def test_what_there_is_not_is_named(cpu, extras, said):
    with pytest.raises(SpecError, match=said):
        asked(cpu, range(10), **extras)


def test_a_gpu_has_no_tlb_here():
    with pytest.raises(SpecError, match="take a CPU"):
        asked(load_machine("gpu-a100-sxm-80gb").spec, range(10), tlb="skylake")


def test_forty_channels_take_a_fortieth_of_a_stream_each():
    gpu = load_machine("gpu-a100-sxm-80gb", overrides={"l2.capacity_bytes": "8 KiB"}).spec
    row = asked(gpu, range(LINES)).dram
    assert (row.channels, row.lines) == (40, LINES)
    assert 0.3 < row.peak_share < 1
