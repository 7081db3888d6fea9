"""The cache suite on the reference tables, and its counting rules against their readable form."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.cache.peer_counting import peer_counts, readable_counts
from sim.memory.cache.run import AddressTrace
from sim.memory.cache.spec import hierarchy
from sim.validation import validate

FULL = Path(__file__).parents[3] / "shared" / "validation" / "cache"
HEADER = "trace,config,L1_load,L1_hit,L1_miss,L1_store,L1_evict,MEM_store_after_flush"


def table(folder: Path, *rows: str) -> Path:
    (folder / "traces").mkdir()
    columns = {"addr_delta": np.array([0, 64, -64, 128]), "kind": np.array([1, 0, 0, 0])}
    np.savez(folder / "traces" / "few.npz", size=np.full(4, 8), **columns)
    (folder / "pycachesim.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return folder


def test_a_row_is_met_only_with_every_counter(tmp_path):
    rows = ["few,c01_128_full_LRU,4,1,3,1,0,1", "few,c02_128_full_LRU,4,1,3,1,1,1"]
    report = validate("cache", table(tmp_path, *rows))
    assert [row.status for row in report.rows] == ["ok", "missed"]
    assert report.rows[1].note == "L1_evict is 1, simulated 0"


@pytest.mark.parametrize("config", ["c1_4K_2w_RANDOM", "c1_4K_2w_victim"])
def test_what_cannot_be_counted_is_unsupported(tmp_path, config):
    report = validate("cache", table(tmp_path, f"few,{config},1,1,1,1,1,1"))
    assert [row.status for row in report.rows] == ["unsupported"]


def test_every_row_of_the_full_table_that_can_be_replayed_is_met():
    if not FULL.is_dir():
        pytest.skip("the full reference table is not beside this checkout")
    report = validate("cache", FULL)
    unsupported = [row for row in report.rows if row.status == "unsupported"]
    assert {row.label.split()[0] for row in unsupported} == {"chase"}
    assert all("references, its trace" in row.note for row in unsupported)
    compared = [row for row in report.rows if row not in unsupported]
    assert len(compared) == 96
    assert all(row.status == "ok" for row in compared), report.summary


LEVELS = st.fixed_dictionaries({
    "capacity_bytes": st.sampled_from([64, 128, 192]),
    "ways": st.sampled_from([1, 2, 4]),
    "line_bytes": st.just(16),
    "replacement": st.sampled_from(["lru", "fifo", "mru"]),
    "rules": st.sampled_from([(True, True), (True, False), (False, False)]),
}).filter(lambda level: level["capacity_bytes"] % (16 * level["ways"]) == 0)  # fmt: skip


@given(
    st.lists(LEVELS, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 1)), min_size=1, max_size=100),
)
@settings(deadline=None)
def test_both_forms_of_the_counting_rules_agree(levels, accesses):
    spec = hierarchy(*(
        {**{key: value for key, value in level.items() if key != "rules"},
         "write_back": level["rules"][0], "write_allocate": level["rules"][1]}
        for level in levels
    ))  # fmt: skip
    addresses, kinds = zip(*accesses, strict=True)
    trace = AddressTrace.of(addresses, kinds=kinds, sizes=8)
    assert peer_counts(spec, trace) == readable_counts(spec, trace)
