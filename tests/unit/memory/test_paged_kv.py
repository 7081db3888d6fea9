"""Pages of a KV cache, by hand: who holds which page, what is wasted, what is copied."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import CapacityError, TokenclockError
from sim.memory.paged_kv import PagedKv, PagedKvSpec

SPEC = PagedKvSpec(pages=4, page_tokens=4, token_bytes=32, layers=2, address=1024)


@pytest.fixture(name="kv")
def kv_fixture():
    return PagedKv(SPEC)


def test_a_page_is_allocated_when_a_sequence_grows_into_it(kv):
    kv.open("a", 4)
    assert kv.block_table("a") == (0,)
    kv.append("a")
    assert kv.block_table("a") == (0, 1)


def test_sequences_that_grow_in_turn_get_scattered_pages(kv):
    kv.open("a", 4)
    kv.open("b", 4)
    kv.append("a")
    kv.append("b")
    assert kv.block_table("a") == (0, 2)
    assert kv.block_table("b") == (1, 3)


def test_a_closed_sequences_pages_are_used_again_lowest_first(kv):
    kv.open("a", 8)
    kv.open("b", 4)
    kv.close("a")
    kv.open("c", 4)
    assert kv.block_table("c") == (0,)


def test_only_last_pages_waste_room(kv):
    kv.open("a", 5)
    kv.open("b", 1)
    use = kv.fragmentation()
    assert (use.pages_held, use.pages_free) == (3, 1)
    assert (use.slots_held, use.slots_filled) == (12, 6)
    assert use.wasted_share == 0.5
    assert PagedKv(SPEC).fragmentation().wasted_share == 0.0


def test_a_shared_prefix_is_held_once_and_freed_with_its_last_user(kv):
    kv.open("a", 8)
    kv.fork("a", "b")
    use = kv.fragmentation()
    assert (use.pages_held, use.shared_pages, use.positions) == (2, 2, 16)
    kv.close("a")
    assert kv.block_table("b") == (0, 1)
    kv.close("b")
    assert kv.fragmentation().pages_free == 4


def test_a_shared_last_page_is_copied_before_it_is_written(kv):
    kv.open("a", 6)
    kv.fork("a", "b")
    kv.append("b")
    assert kv.block_table("a") == (0, 1)
    assert kv.block_table("b") == (0, 2)
    assert kv.copied_bytes == 2 * 32 * 2 * 2  # positions x bytes x layers x (keys, values)
    kv.append("a")
    assert kv.block_table("a") == (0, 1)
    assert kv.copied_bytes == 256


def test_a_full_shared_page_needs_no_copy(kv):
    kv.open("a", 8)
    kv.fork("a", "b", 4)
    kv.append("b")
    assert kv.block_table("b") == (0, 2)
    assert kv.copied_bytes == 0


def test_attention_reads_the_pages_of_the_block_table_in_order(kv):
    kv.open("a", 4)
    kv.open("b", 4)
    kv.append("a", 2)  # pages 0 and 2; a page is two lines of 64 bytes
    assert kv.read_lines("a", 0, 64).tolist() == [16, 17, 20, 24, 25, 28]
    assert kv.read_lines("a", 1, 64).tolist() == [32, 33, 36, 40, 41, 44]


def test_a_step_writes_its_position_in_keys_and_values(kv):
    kv.open("a", 3)
    assert kv.write_lines("a", 0, 64).tolist() == [17, 25]
    assert kv.write_lines("a", 0, 64, tokens=3).tolist() == [16, 17, 24, 25]


def test_running_out_of_pages_says_what_is_missing_and_changes_nothing(kv):
    kv.open("a", 12)
    with pytest.raises(CapacityError, match=r"needs 2 more pages.*give the pool 1 pages more"):
        kv.append("a", 8)
    assert kv.tokens("a") == 12
    with pytest.raises(CapacityError):
        kv.open("b", 20)
    with pytest.raises(TokenclockError, match="no sequence 'b' is open; known: a"):
        kv.tokens("b")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda kv: kv.open("a"), "'a' is open already"),
        (lambda kv: kv.fork("a", "a"), "'a' is open already"),
        (lambda kv: kv.fork("a", "b", 9), "has 3 positions to share, not 9"),
        (lambda kv: kv.append("a", -1), "does not shrink"),
        (lambda kv: kv.read_lines("a", 2, 64), "no layer 2 of 2"),
        (lambda _: PagedKvSpec(pages=0, page_tokens=1, token_bytes=1, layers=1), "'pages'"),
    ],
)
def test_misuse_is_refused(kv, act, message):
    kv.open("a", 3)
    with pytest.raises(TokenclockError, match=message):
        act(kv)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 6)), max_size=40))
def test_pages_are_never_lost_and_never_written_by_two(moves):
    kv, contents, stored = PagedKv(SPEC), {}, {}
    for action, who, amount in moves:
        name = f"s{who}"
        try:
            if action == 0:
                kv.open(name, amount)
                contents[name] = []
            elif action == 1:
                kv.append(name, amount)
            elif action == 2:
                kv.close(name)
                contents.pop(name)
            else:
                kv.fork(f"s{amount % 5}", name)
                contents[name] = list(contents[f"s{amount % 5}"])
        except TokenclockError:
            continue
        if name in contents:
            while len(contents[name]) < kv.tokens(name):
                contents[name].append(object())
        _copy_pages(kv, contents, stored, name)
        for other, expected in contents.items():
            read = [stored[p, s] for p, s in _slots(kv, other)]
            assert read == expected, "a sequence reads what it wrote"
    use = kv.fragmentation()
    assert use.pages_held == len({p for name in contents for p in kv.block_table(name)})
    assert use.slots_filled <= use.slots_held


def _slots(kv, name):
    table = kv.block_table(name)
    size = SPEC.page_tokens
    return [(table[t // size], t % size) for t in range(kv.tokens(name))]


def _copy_pages(kv, contents, stored, name):
    """Write what a sequence holds where its table says; sharing must never clobber another."""
    if name in contents:
        stored.update(zip(_slots(kv, name), contents[name], strict=True))


def test_lines_are_whole_numbers_of_the_machine(kv):
    kv.open("a")
    assert kv.read_lines("a", 0, 64).dtype == np.int64
    assert len(kv.read_lines("a", 0, 64)) == 0
