from fractions import Fraction

import numpy as np
import pytest

from sim.memory.cache.hierarchy import CacheEvent, CacheHierarchy
from sim.memory.cache.prefetch_spec import NextLineSpec, StreamSpec, StrideSpec
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import hierarchy

LINE = 64
PAGE = 64
"""Lines of a page of 4 KiB."""
BOTH = pytest.mark.parametrize("engine", ["readable", "compiled"])


def one(lines=256, ways=4, **prefetcher):
    return hierarchy({
        "capacity_bytes": lines * LINE, "ways": ways, "prefetcher": prefetcher or None,
    })  # fmt: skip


def counts(spec, lines, engine="compiled", kinds=0):
    trace = AddressTrace.of([line * LINE for line in lines], kinds=kinds)
    return run_addresses(spec, trace, engine=engine).counts


def outcome(level):
    return level.misses, level.hits, level.prefetches, level.useful, level.useless


def asked(lines, **prefetcher):
    """Lines prefetched after each access, by the readable caches."""
    answer = []

    def note(_, event, first, last):
        if event is CacheEvent.PREFETCH:
            assert last == first + LINE - 1
            answer[-1].append(first // LINE)

    caches = CacheHierarchy(one(**prefetcher), note)
    for line in lines:
        answer.append([])
        caches.access(line * LINE, write=False)
    return answer


@BOTH
def test_the_next_line_leaves_a_stream_one_miss(engine):
    level = counts(one(kind="next_line"), range(10), engine).levels[0]
    assert outcome(level) == (1, 9, 10, 9, 0)
    assert level.accuracy == Fraction(9, 10)
    assert level.coverage == Fraction(9, 10)


@BOTH
def test_the_next_line_starts_anew_on_each_page(engine):
    level = counts(one(kind="next_line", page_bytes=4 * LINE), range(8), engine).levels[0]
    assert outcome(level) == (2, 6, 6, 6, 0)
    assert level.accuracy == 1


def test_a_repeated_hit_asks_for_no_further_line():
    assert asked([0, 0, 1, 1], kind="next_line") == [[1], [], [2], []]


def test_degree_and_distance_say_how_many_lines_come_and_how_far_ahead():
    assert asked([0], kind="next_line", degree=3, distance=2) == [[2, 3, 4]]
    assert asked([0, 5, 10], kind="stride", degree=2, distance=2) == [[], [], [20, 25]]


@BOTH
def test_a_stride_of_three_lines_is_learnt_at_the_third_access(engine):
    level = counts(one(kind="stride"), range(0, 30, 3), engine).levels[0]
    assert outcome(level) == (3, 7, 8, 7, 0)


@pytest.mark.parametrize("confidence", [1, 2, 5])
def test_a_stride_is_followed_once_it_was_seen_often_enough(confidence):
    answer = asked(range(0, 40, 4), kind="stride", confidence=confidence)
    assert answer[confidence - 1] == []
    assert answer[confidence] == [4 * (confidence + 1)]


def test_another_stride_has_to_be_learnt_anew():
    lines = [0, 2, 4, 9, 14, 12, 10]
    assert asked(lines, kind="stride") == [[], [], [6], [], [19], [], [8]]


def test_each_page_has_a_stride_of_its_own():
    lines = [0, PAGE, 1, PAGE + 3, 2, PAGE + 6]
    assert asked(lines, kind="stride")[-2:] == [[3], [PAGE + 9]]
    assert asked(lines, kind="stride", entries=1) == [[]] * 6


def test_misses_in_one_direction_make_a_stream():
    up, down = ([line, line + way, line + 3 * way] for line, way in ((8, 1), (40, -1)))
    assert asked(up, kind="stream", degree=2) == [[], [], [12, 13]]
    assert asked(down, kind="stream", degree=2) == [[], [], [36, 35]]


def test_a_stream_stays_within_its_distance():
    answer = asked(range(7), kind="stream", degree=3, distance=4)
    assert answer == [[], [], [3, 4, 5], [6, 7], [8], [9], [10]]


def test_misses_that_turn_round_make_a_stream_only_after_as_many_more():
    assert asked([20, 21, 19, 18, 17], kind="stream", degree=1) == [[], [], [], [17], [16]]


def test_misses_further_apart_than_the_window_make_no_stream():
    lines = [0, 5, 10, 15]
    assert asked(lines, kind="stream", window=4) == [[]] * 4
    assert asked(lines, kind="stream", window=5)[2] == [11, 12]


def test_two_interleaved_streams_need_two_entries():
    lines = [line for step in range(8) for line in (step, PAGE + 60 - step)]
    assert sum(map(len, asked(lines, kind="stream", degree=1))) == 12
    assert sum(map(len, asked(lines, kind="stream", degree=1, entries=1))) == 0


@BOTH
def test_a_stream_stops_at_the_end_of_its_page(engine):
    lines = range(PAGE - 8, PAGE + 2)
    level = counts(one(kind="stream", degree=4), lines, engine).levels[0]
    assert outcome(level) == (3 + 2, 5, 5, 5, 0)


@pytest.mark.parametrize("kind", ["stride", "stream"])
def test_random_lines_are_rarely_prefetched(kind):
    lines = np.random.default_rng(1).integers(0, 2**16, 5000)
    level = counts(one(kind=kind), lines).levels[0]
    assert level.prefetches < 0.01 * len(lines)


@BOTH
def test_a_prefetched_line_that_leaves_unused_was_useless(engine):
    spec = one(lines=2, ways=1, kind="next_line")
    level = counts(spec, [0, 2, 4], engine).levels[0]
    assert outcome(level) == (3, 0, 3, 0, 2)  # the last one is still here


@BOTH
def test_the_level_behind_counts_a_prefetch_as_a_load_and_may_prefetch_upon_it(engine):
    level = {"capacity_bytes": 64 * LINE, "ways": 4}
    front = {**level, "prefetcher": {"kind": "next_line"}}
    assert counts(hierarchy(front, level), [0], engine).levels[1].load_misses == 2
    both = counts(hierarchy(front, front), [0], engine)
    assert outcome(both.levels[1]) == (2, 0, 1, 0, 0)  # L1 asks first for 1; 2 follows
    assert both.memory.reads == 3


def test_a_prefetch_waits_until_the_access_is_over():
    events = []
    level = {"capacity_bytes": LINE, "ways": 1}
    behind = {**level, "inclusion": "inclusive", "prefetcher": {"kind": "next_line"}}
    caches = CacheHierarchy(hierarchy(level, behind), lambda *event: events.append(event[1]))
    caches.access(0, write=False)
    assert events == [CacheEvent.MISS, CacheEvent.MISS, CacheEvent.PREFETCH]
    assert caches.levels[0].counts.back_invalidations == 1


@BOTH
def test_an_exclusive_level_does_not_prefetch_what_stands_in_front_of_it(engine):
    level = {"capacity_bytes": 64 * LINE, "ways": 4}
    behind = {**level, "inclusion": "exclusive", "prefetcher": {"kind": "next_line"}}
    level_2 = counts(hierarchy(level, behind), [1, 0], engine).levels[1]
    assert level_2.prefetches == 1


@BOTH
def test_a_sectored_line_is_prefetched_whole(engine):
    spec = hierarchy({
        "capacity_bytes": 64 * LINE, "ways": 4, "sectors": 4, "prefetcher": {"kind": "next_line"},
    })  # fmt: skip
    trace = AddressTrace.of([0, LINE + 48])
    run = run_addresses(spec, trace, engine=engine).counts
    assert outcome(run.levels[0]) == (1, 1, 2, 1, 0)
    assert run.memory.read_bytes == 16 + LINE + LINE


MOVED = {
    "next_line": {"degree": 2, "distance": 2, "page_bytes": 512, "queue_lines": 1},
    "stride": {
        "degree": 2, "distance": 2, "page_bytes": 512, "queue_lines": 1, "entries": 1,
        "confidence": 3,
    },
    "stream": {
        "degree": 2, "distance": 2, "page_bytes": 512, "queue_lines": 1, "entries": 1,
        "confidence": 3, "window": 1,
    },
}  # fmt: skip
SPECS = {"next_line": NextLineSpec, "stride": StrideSpec, "stream": StreamSpec}


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, name) for kind in MOVED for name in MOVED[kind]]
)
def test_each_field_of_each_prefetcher_moves_some_count(kind, field):
    assert set(SPECS[kind].model_fields) == {*MOVED[kind], "kind"}
    lines = [line for step in range(40) for line in (2 * step, 1000 - 3 * step)]
    base = {"kind": kind, "degree": 3 if field in {"queue_lines", "distance"} else 1}
    plain, moved = (
        counts(one(**spec), lines) for spec in (base, {**base, field: MOVED[kind][field]})
    )
    assert plain != moved


def test_each_kind_of_prefetcher_counts_its_own():
    lines = range(0, 60, 2)
    assert len({counts(one(kind=kind), lines).levels[0].prefetches for kind in SPECS}) == 3


@pytest.mark.parametrize(
    ("prefetcher", "message"),
    [
        ({"kind": "magic"}, "does not match any of the expected tags"),
        ({"kind": "next_line", "degree": 0}, "greater than or equal to 1"),
        ({"kind": "next_line", "entries": 4}, "Extra inputs"),
        ({"kind": "stride", "page_bytes": 1000}, "no power of two"),
        ({"kind": "stream", "page_bytes": 32}, "has no line of 64"),
    ],
)
def test_what_is_no_prefetcher_is_an_error(prefetcher, message):
    with pytest.raises(ValueError, match=message):
        one(**prefetcher)
