"""What translation costs in cycles, and how its loads get along with the data's in the caches."""

import numpy as np
import pytest
from tlb_cases import GIB1, KIB4, MIB2, array, level, pages, spec, walk_caches

from sim.errors import SpecError
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import hierarchy
from sim.memory.layout import ROLES, trace_lines
from sim.memory.tlb.chip import load_mmu, mapped
from sim.memory.tlb.run import translate, translation_cycles
from sim.memory.tlb.spec import MappingSpec
from workloads import generate, load_model
from workloads.trace import Role

LINE = 64
SMALL = hierarchy({"capacity_bytes": "32 KiB", "ways": 8})
LATENCIES = [4, 200]
"""Of that cache and of main memory."""


def timed(described, trace, caches=SMALL, latencies=LATENCIES):
    run = translate(trace, described, with_physical=True)
    found = run_addresses(caches, run.physical, where_found=True).found
    return translation_cycles(described, run, found, latencies), run, found


@pytest.mark.parametrize(("page_bytes", "loads"), [(KIB4, 4), (MIB2, 3), (GIB1, 2)])
def test_a_cold_walk_takes_the_latency_of_memory_for_each_of_its_loads(page_bytes, loads):
    for memory in (200, 201):
        cycles, *_ = timed(spec(page_bytes=page_bytes), pages([0]), latencies=[4, memory])
        assert cycles == loads * memory


def test_a_hit_in_the_first_level_takes_what_a_search_of_it_takes():
    one = spec(level("L1", hit_cycles=2))
    assert timed(one, pages([0]))[0] == 2 + 4 * 200
    assert timed(one, pages([0, 0]))[0] == 2 + 4 * 200 + 2


def test_a_miss_in_the_first_level_adds_the_search_of_the_second():
    two = spec(level("L1", array(1)), level("L2", hit_cycles=9))
    cold, warm = timed(two, pages([0, 1]))[0], timed(two, pages([0, 1, 0]))[0]
    assert warm == cold + 9


def test_the_second_walk_finds_the_entries_of_the_first_in_the_cache():
    cycles, run, found = timed(spec(), pages([0, 1]))
    assert found[run.is_walk].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert cycles == 4 * 200 + 4 * 4


def test_eight_entries_share_a_line_so_one_walk_of_eight_goes_to_memory():
    described = spec(level("L1", array(4)), walk_caches=walk_caches())
    cycles, run, found = timed(described, pages(range(64)))
    assert (run.counts.walk_loads, found[run.is_walk].sum()) == (64 + 3, 8 + 3)
    assert cycles == (64 - 8) * 4 + (8 + 3) * 200


def test_loads_of_walks_and_data_push_each_other_out_of_the_cache():
    line = hierarchy({"capacity_bytes": 4 * LINE, "ways": 4})
    trace = AddressTrace.of([0, KIB4, 0])
    alone = run_addresses(line, trace, where_found=True).found
    _, run, found = timed(spec(level("L1", array(1))), trace, line)
    assert alone.tolist() == [1, 1, 0]
    assert found[~run.is_walk].tolist() == [1, 1, 1]
    assert found[run.is_walk].sum() > 4


def test_the_time_needs_every_access_and_a_latency_for_every_level():
    _, run, found = timed(spec(), pages([0]))
    with pytest.raises(SpecError, match="where each access"):
        translation_cycles(spec(), run, found[1:], LATENCIES)
    with pytest.raises(SpecError, match="1 latencies, but loads were found at 2"):
        translation_cycles(spec(), run, found, [4])
    with pytest.raises(SpecError, match="where each access"):
        translation_cycles(spec(), translate(pages([0]), spec()), found, LATENCIES)


@pytest.fixture(scope="module")
def weights():
    """Lines of a GPT-2 layer's weights, in the order of one decode step."""
    trace = generate(
        load_model("gpt2-small"), None, prompt_tokens=8, new_tokens=2, execute=False
    ).trace
    pieces = list(trace_lines(trace, LINE, step=1, layer=0))
    lines = np.concatenate([piece.lines for piece in pieces])
    roles = np.concatenate([piece.roles for piece in pieces])
    return AddressTrace.of(lines[roles == ROLES.index(Role.WEIGHT)] * LINE, sizes=LINE)


@pytest.mark.parametrize("chip", ["skylake", "cortex-a76", "polarfire-u54"])
@pytest.mark.parametrize("page_bytes", [KIB4, MIB2])
def test_a_decode_steps_weights_miss_once_a_page_whatever_the_tlb(weights, chip, page_bytes):
    described = mapped(load_mmu(chip), MappingSpec(page_bytes=page_bytes))
    starts = np.flatnonzero(np.diff(weights.addresses, prepend=-LINE, append=-LINE) != LINE)
    longest = np.argmax(np.diff(starts))
    tensor = AddressTrace.of(weights.addresses[starts[longest] : starts[longest + 1]], sizes=LINE)
    assert translate(tensor, described).counts.walks == _touched(tensor, page_bytes) > 1
    # Two tensors that meet within a page may come to it apart.
    walks, touched = translate(weights, described).counts.walks, _touched(weights, page_bytes)
    assert touched <= walks < touched + len(starts)


def _touched(trace, page_bytes):
    return len(np.unique(trace.addresses // page_bytes))


def test_large_pages_make_the_walks_of_a_decode_step_vanish(weights):
    cycles, loads = {}, {}
    for page_bytes in (KIB4, MIB2):
        described = mapped(load_mmu("skylake"), MappingSpec(page_bytes=page_bytes))
        cycles[page_bytes], run, _ = timed(described, weights)
        loads[page_bytes] = run.counts.walk_loads
        walks = run.counts.walks
        assert loads[page_bytes] == walks * (4 if page_bytes == KIB4 else 3)
    assert loads[KIB4] > 400 * loads[MIB2]
    assert cycles[KIB4] > 40 * cycles[MIB2]
    assert cycles[MIB2] < len(weights) // 10


def test_weights_in_large_pages_leave_the_small_ones_to_the_rest(weights):
    end = -(-int(weights.addresses.max() + LINE) // MIB2) * MIB2
    region = {"first_byte": 0, "size_bytes": end, "page_bytes": MIB2}
    described = mapped(load_mmu("skylake"), MappingSpec.model_validate({"regions": [region]}))
    rest = AddressTrace.of(end + np.arange(10) * KIB4)
    both = AddressTrace.of(np.concatenate([weights.addresses, rest.addresses]), sizes=LINE)
    assert translate(both, described).counts.walks == _touched(weights, MIB2) + 10
