import pytest

from sim.memory.cache.hierarchy import CacheEvent, CacheHierarchy
from sim.memory.cache.spec import hierarchy

HIT, MISS, WRITE_BACK = CacheEvent.HIT, CacheEvent.MISS, CacheEvent.WRITE_BACK
LINE = {"capacity_bytes": 64, "ways": 1}


def seen(levels, *accesses):
    """Events of (address, write, size) in order."""
    events = []
    caches = CacheHierarchy(
        hierarchy(*levels),
        lambda level, event, first, last: events.append((level.spec.name, event, first, last)),
    )
    for address, write, size in accesses:
        caches.access(address, write=write, size_bytes=size)
    return events


def test_a_load_is_told_of_at_each_level_that_it_asks():
    assert seen([LINE, LINE], (4, False, 8), (4, False, 8)) == [
        ("L1", MISS, 4, 11),
        ("L2", MISS, 0, 63),
        ("L1", HIT, 4, 11),
    ]


def test_an_access_across_two_lines_is_told_of_line_by_line():
    assert seen([LINE], (60, False, 8)) == [("L1", MISS, 60, 63), ("L1", MISS, 64, 67)]


def test_a_dirty_line_is_told_of_when_it_leaves():
    assert seen([LINE], (0, True, 8), (64, False, 8)) == [
        ("L1", MISS, 0, 7),
        ("L1", MISS, 64, 71),
        ("L1", WRITE_BACK, 0, 63),
    ]


def test_of_a_sectored_line_only_the_dirty_sectors_go_out():
    events = seen([{**LINE, "sectors": 4}], (16, True, 4), (48, True, 4), (64, False, 4))
    assert events[-2:] == [("L1", WRITE_BACK, 16, 31), ("L1", WRITE_BACK, 48, 63)]


@pytest.mark.parametrize("rule", [{"write_back": False}, {"write_allocate": False}])
def test_a_store_that_goes_on_to_the_level_behind_is_told_of(rule):
    assert seen([{**LINE, **rule}], (8, True, 4))[-1] == ("L1", CacheEvent.PASS, 8, 11)


def test_a_clean_line_is_released_to_an_exclusive_level():
    behind = {**LINE, "inclusion": "exclusive"}
    assert seen([LINE, behind], (0, False, 4), (64, False, 4))[-1] == (
        "L1", CacheEvent.RELEASE, 0, 63,
    )  # fmt: skip
