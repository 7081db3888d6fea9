"""Superscalar cores: what each part of a core costs, in exact cycles between issues."""

from itertools import pairwise

import pytest

from sim.cpu.cores import CoreSpec, core_names, load_core, make_stream, run_core
from sim.cpu.cores.layout import byte_addresses
from sim.cpu.cores.spec import FOLDER
from sim.cpu.riscv import assemble, execute
from sim.errors import SpecError
from sim.stalls import StallCause

WIDE = load_core("ooo-w4-rob128-gshare")
NARROW = load_core("inorder-w1-gshare")
DUAL = load_core("inorder-w2-gshare")
EXIT = "\nli a7, 93\necall\n"
ENGINES = pytest.mark.parametrize("engine", ["readable", "compiled"])


def changed(spec, **changes):
    """A core with other numbers; `units__divide={...}` reaches into a part."""
    values = spec.model_dump()
    for path, value in changes.items():
        part, *names = values, *path.split("__")
        for name in names[:-1]:
            part = part[name]
        part[names[-1]] = value
    return CoreSpec.model_validate(values)


def with_places(spec, *places):
    """A core whose levels fetch so many lines at a time."""
    levels = [
        {**level.model_dump(), "miss_places": own}
        for level, own in zip(spec.memory.levels, places, strict=True)
    ]
    return changed(spec, memory__levels=levels)


def timed(spec, text, engine="readable"):
    execution = execute(assemble(text + EXIT, xlen=64, name="test"))
    return run_core(spec, execution, engine=engine)


def issues(spec, text, engine="readable"):
    """Cycles of issue after the first instruction's."""
    issued = timed(spec, text, engine).timing.issued
    return (issued - issued[0]).tolist()


def warmed(body):
    """A loop of two trips, so that the second finds its lines."""
    return f"la s0, x\nli s1, 2\nloop:\n{body}\naddi s1, s1, -1\nbnez s1, loop\n"


DATA = "\n.data\n.p2align 6\nx: .dword x, 0, 0, 0, 0, 0, 0, 0\n.text\n"


@ENGINES
def test_dependent_adds_issue_one_a_cycle_and_independent_ones_by_width(engine):
    chain = "\n".join(["add a0, a0, a1"] * 8)
    assert issues(WIDE, chain, engine)[:8] == list(range(8))
    free = "\n".join(f"add a{n}, s0, s1" for n in range(8))
    assert issues(WIDE, free, engine)[:8] == [0] * 4 + [1] * 4
    assert issues(DUAL, free, engine)[:8] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert issues(NARROW, free, engine)[:8] == list(range(8))


def test_out_of_order_passes_a_waiting_instruction_and_in_order_does_not():
    text = "mul a0, a1, a2\nadd a3, a0, a0\nadd a4, a5, a5"
    assert issues(WIDE, text)[:3] == [0, 3, 0]
    assert issues(DUAL, text)[:3] == [0, 3, 3]


@pytest.mark.parametrize(("pipelined", "second"), [(True, 1), (False, 35)])
def test_a_divider_takes_the_next_division_when_it_is_free(pipelined, second):
    divide = {"count": 1, "latency_cycles": 35, "pipelined": pipelined}
    text = "div a0, a1, a2\ndiv a3, a4, a5"
    assert issues(changed(WIDE, units__divide=divide), text)[:2] == [0, second]


@pytest.mark.parametrize(("spec", "use"), [(WIDE, 2), (NARROW, 3)])
def test_a_load_that_hits_is_used_after_address_generation_and_the_first_level(spec, use):
    text = warmed("fence\nld a0, 0(s0)\nadd a1, a0, a0") + DATA
    run = timed(spec, text)
    loads, adds = (run.timing.issued[run.stream.unit == unit] for unit in (7, 0))
    assert adds[adds > loads[1]][0] - loads[1] == use


def test_a_miss_costs_every_level_on_the_way_to_memory_and_the_fill():
    run = timed(WIDE, "la s0, x\nld a0, 0(s0)\nadd a1, a0, a0" + DATA)
    load = 2  # `la` is two instructions
    assert run.timing.issued[load + 1] - run.timing.issued[load] == 1 + 1 + 10 + 135 + 1
    assert run.timing.stack.stalls[StallCause.DRAM] > 0


def test_misses_overlap_as_far_as_there_are_places_for_them():
    text = "la s0, x\n" + "\n".join(f"ld a{n}, {64 * n}(s0)" for n in range(3))
    data = "\n.data\n.p2align 6\nx: .zero 192\n.text\n"
    many, one = (timed(with_places(WIDE, n, 8), text + data).timing for n in (8, 1))
    assert many.done[3] - many.done[2] == 11  # one line's transfer
    assert one.done[3] - one.done[2] >= 147


def test_memory_is_busy_with_one_line_before_it_begins_the_next():
    text = "la s0, x\nld a0, 0(s0)\nld a1, 64(s0)"
    data = "\n.data\n.p2align 6\nx: .zero 192\n.text\n"
    for cycles in (0, 11):
        done = timed(changed(WIDE, memory__memory_line_cycles=cycles), text + data).timing.done
        assert done[3] - done[2] == cycles


def test_a_load_takes_its_data_from_a_store_that_has_not_reached_the_cache():
    text = "la s0, x\nsd a1, 0(s0)\nld a0, 0(s0)\nadd a2, a0, a0" + DATA
    issued = timed(WIDE, text).timing.issued
    store, load, add = issued[2], issued[3], issued[4]
    assert (load - store, add - load) == (1, 2)  # though the line is far away


@pytest.mark.parametrize(("spec", "bubbles"), [(NARROW, 6), (WIDE, 8)])
def test_a_misprediction_costs_resolution_redirect_and_the_way_from_fetch(spec, bubbles):
    spec = changed(spec, branches={"scheme": "not-taken"}, front_end__squash_per_cycle=None)
    run = timed(spec, "beqz zero, 1f\nnop\n1: add a0, a1, a1")
    assert run.mispredicted == 1
    assert run.timing.issued[1] - run.timing.issued[0] == bubbles + 1


def test_a_branch_ends_the_issue_of_a_cycle_in_order_only():
    text = "add a0, a1, a1\nbnez zero, 1f\nadd a2, a1, a1\nadd a3, a1, a1\n1:"
    assert issues(changed(DUAL, width=4), text)[:4] == [0, 0, 1, 1]
    assert issues(WIDE, text)[:4] == [0, 0, 0, 0]


def test_wrong_path_instructions_are_removed_before_renaming_goes_on():
    slow = changed(WIDE, branches={"scheme": "not-taken"}, front_end__squash_per_cycle=1)
    fast = changed(slow, front_end__squash_per_cycle=None)
    text = "mul a0, a1, a2\nbeqz a0, 1f\nnop\n1: add a0, a1, a1"
    assert issues(slow, text)[2] > issues(fast, text)[2]


def test_the_reorder_buffer_bounds_how_far_a_core_runs_ahead():
    text = "div a0, a1, a2\n" + "\n".join(["add a3, a4, a4"] * 12)
    assert issues(changed(WIDE, reorder_buffer=4), text)[3] < 35
    assert issues(changed(WIDE, reorder_buffer=4), text)[4] >= 35
    assert max(issues(WIDE, text)[:13]) < 35


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("load_queue", "ld a1, 0(s0)\nld a2, 8(s0)"),
        ("store_buffer", "sd a1, 0(s0)\nsd a2, 8(s0)"),
        ("issue_queue", "add a1, a0, a0\nadd a2, a0, a0"),
    ],
)
def test_a_full_queue_holds_renaming(key, body):
    text = f"la s0, x\ndiv a0, a1, a2\nnop\n{body}" + DATA
    tight, roomy = (timed(changed(WIDE, **{key: n}), text).timing.renamed for n in (1, 32))
    assert tight[5] - tight[4] > roomy[5] - roomy[4] == 0


def test_a_fetch_ends_at_its_line():
    text = "nop\n" * 6 + "add a0, a1, a1\nadd a2, a1, a1\n"
    whole = changed(WIDE, width=8, front_end__compressed=False)
    split = changed(whole, front_end__line_bytes=16)
    execution = execute(assemble(text + EXIT, xlen=64, name="test"))
    assert make_stream(whole, execution).groups.tolist() == [0, 8, 10]
    assert make_stream(split, execution).groups.tolist() == [0, 4, 8, 10]


def test_two_byte_forms_are_used_where_the_c_extension_has_them():
    text = """
    add a0, a0, a1
    add a0, a1, a2
    addi s2, s2, 8
    addi s2, s2, 32
    andi s2, s2, 7
    andi s0, s0, 7
    ld a0, 8(a1)
    ld t0, 8(a1)
    ld a0, 248(a1)
    ld a0, 256(a1)
    slli a0, a0, 13
    srli t0, t0, 13
    lui a0, 31
    lui a0, 32
    lw a0, 0(sp)
    xor a0, a1, a0
    ret
    """
    program = assemble(text, xlen=64, name="test")
    at = byte_addresses(program, compressed=True)
    sizes = [after - here for here, after in pairwise(at)]
    assert sizes == [2, 4, 2, 4, 4, 2, 2, 4, 2, 4, 2, 4, 2, 4, 2, 2, 2]


def test_alignment_is_laid_out_anew_with_two_byte_forms():
    program = assemble("add a0, a0, a1\n.p2align 4\nloop: add a0, a0, a1\n", xlen=64, name="test")
    at = byte_addresses(program, compressed=True)
    assert at[-2] - at[0] == 16


@ENGINES
def test_every_cycle_is_busy_or_has_a_cause(engine):
    text = warmed("ld a0, 0(s0)\nmul a1, a0, a0\nsd a1, 8(s0)\nfence") + DATA
    run = timed(WIDE, text, engine)
    assert run.timing.stack.total == run.cycles == run.timing.retired[-1] + 1
    assert run.timing.stack.stalls[StallCause.SYNCHRONISATION] > 0


@pytest.mark.parametrize("name", core_names())
def test_every_core_runs_a_loop_within_its_width(name):
    run = timed(load_core(name), warmed("ld a0, 0(s0)\nadd a1, a0, a0") + DATA, "compiled")
    assert 0 < run.ipc <= run.spec.width


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width: {", "widht: {", "key 'widht': unknown; did you mean 'width'"),
        ("scheme: gshare", "scheme: gshear", "key 'branches.scheme': Input should be"),
        ("miss_places: 8", "miss_places: 0", "key 'memory.levels.0.miss_places'"),
        ("history_bits: 12", "tag_bits: [3]", "go with TAGE, one each a table"),
    ],
)
def test_a_wrong_description_is_an_error_that_names_file_and_key(tmp_path, old, new, message):
    path = tmp_path / "core.yaml"
    text = (FOLDER / "ooo-w4-rob128-gshare.yaml").read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SpecError, match=r"core\.yaml") as error:
        load_core(path)
    assert message in str(error.value)


def test_an_unknown_core_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'ooo-w4-rob128-tage'"):
        load_core("ooo-w4-rob128-tag")
