"""Random programs on the dynamically scheduled machines: results, laws, bad input."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.dynamic import TomasuloSpec, dynamic_names, load_dynamic, run_dynamic
from sim.cpu.riscv import assemble, execute

NAMES = dynamic_names()
DATA, DATA_WORDS = 0x1000_0000, 6
HEAD = """
la x10, data
fld f1, 0(x10)
fld f2, 8(x10)
ld x5, 16(x10)
ld x6, 24(x10)
"""
TAIL = """
ebreak
.data
data: .double 1.5, -0.25
.dword 3, 8, 1, 7
"""
REGISTERS = st.integers(5, 8)
FLOATS = st.integers(1, 4)


@st.composite
def statements(draw, depth=0):
    """One instruction, a pair through memory, or a branch over some, forwards or back."""
    x, y, z = (draw(REGISTERS) for _ in range(3))
    f, g, h = (draw(FLOATS) for _ in range(3))
    place = 8 * draw(st.integers(0, DATA_WORDS - 1))
    plain = [
        f"fadd.d f{f}, f{g}, f{h}",
        f"fmul.d f{f}, f{g}, f{h}",
        f"fdiv.d f{f}, f{g}, f{h}",
        f"addi x{x}, x{y}, {place - 20}",
        f"mul x{x}, x{y}, x{z}",
        f"fld f{f}, {place}(x10)",
        f"fsd f{f}, {place}(x10)",
        f"ld x{x}, {place}(x10)",
        f"sd x{x}, {place}(x10)",
        f"lw x0, {place}(x10)",
        f"sw x{x}, {place + 4}(x10)",
        f"andi x{x}, x{y}, 40\nadd x11, x10, x{x}\nfsd f{f}, 0(x11)\nfld f{g}, 0(x11)",
        f"li x17, 1\nandi x{x}, x{x}, 7\nmv x12, x10\nmv x10, x{x}\necall\nmv x10, x12",
        f"csrr x{x}, instret\nfence",
        f"jal x{x}, 8\nfadd.d f{f}, f{f}, f{f}",
    ]
    if depth == 2 or draw(st.integers(0, 4)):
        return [draw(st.sampled_from(plain))]
    body = [line for part in draw(st.lists(statements(depth + 1), max_size=4)) for line in part]
    if draw(st.booleans()):
        branch = draw(st.sampled_from(["beq", "bne", "blt", "bgeu"]))
        return [f"<{branch} x{x}, x{y}, LABEL", *body, "LABEL:>"]
    counter = f"x{20 + depth}"
    turns = draw(st.integers(1, 3))
    return [
        f"<li {counter}, {turns}",
        "LABEL:",
        *body,
        f"addi {counter}, {counter}, -1",
        f"bnez {counter}, LABEL>",
    ]


@st.composite
def programs(draw):
    lines = [line for part in draw(st.lists(statements(), max_size=10)) for line in part]
    return assemble(f"{HEAD}{_with_own_labels(lines)}{TAIL}", xlen=64)


def _with_own_labels(lines):
    """Give each block, which `<` and `>` enclose, a label of its own, innermost first."""
    text, number = "\n".join(lines), 0
    while "<" in text:
        end = text.index(">")
        begin = text.rindex("<", 0, end)
        body = text[begin + 1 : end].replace("LABEL", f"l{number}")
        text, number = text[:begin] + body + text[end + 1 :], number + 1
    return text


@st.composite
def tight(draw):
    """A machine of each technique with few of everything."""
    few = st.integers(1, 3)
    name = draw(st.sampled_from(["tomasulo", "tomasulo-dual", "tomasulo-speculative-dual"]))
    spec = load_dynamic(name)
    units = {
        key: unit.model_copy(
            update={"stations": draw(few), "units": draw(few), "pipelined": draw(st.booleans())}
        )
        for key, unit in spec.units.items()
    }
    changes = {
        "units": units,
        "issue_width": draw(few),
        "common_data_buses": draw(few),
        "memory_cycles": draw(few),
        "memory_ports": draw(few),
    }
    policies = ["stall", "perfect"]
    if spec.technique == "tomasulo-speculative":
        policies += ["taken", "not-taken", "backward-taken"]
        changes["reorder_buffer_entries"] = draw(st.integers(1, 8))
        changes["commit_width"] = draw(few)
    changes["branches"] = draw(st.sampled_from(policies))
    return spec.model_copy(update=changes)


def check_state(spec, program):
    ran, reference = run_dynamic(spec, program), execute(program)
    assert tuple(ran.machine.registers) == reference.registers
    size = 8 * DATA_WORDS
    assert ran.machine.memory.dump(DATA, size) == reference.memory.dump(DATA, size)
    assert ran.machine.output == reference.output
    assert ran.retired == reference.retired - 1  # the closing call
    assert ran.stack.total == ran.cycles
    return ran


@settings(max_examples=15, deadline=None)
@given(program=programs())
def test_every_machine_leaves_the_registers_and_memory_of_the_functional_machine(program):
    for name in NAMES:
        check_state(load_dynamic(name), program)


@settings(max_examples=60, deadline=None)
@given(spec=tight(), program=programs())
def test_few_stations_buses_and_entries_change_cycles_and_nothing_else(spec, program):
    ran = check_state(spec, program)
    for earlier, later in zip(ran.flights, ran.flights[1:], strict=False):
        assert earlier.issue <= later.issue
    kept = [flight for flight in ran.flights if not flight.squashed and flight.unit]
    for flight in kept:
        for operand in flight.operands:
            if operand.producer is None or flight.kind == "store":
                continue
            assert flight.begin > operand.producer.write > 0
    per_cycle = Counter(flight.issue for flight in ran.flights)
    assert max(per_cycle.values()) <= spec.issue_width
    broadcasts = Counter(flight.write for flight in ran.flights if flight.write)
    assert max(broadcasts.values()) <= spec.common_data_buses
    if spec.technique == "tomasulo-speculative":
        commits = [flight.commit for flight in kept]
        assert commits == sorted(commits)
        assert max(Counter(commits).values()) <= spec.commit_width


def same_units():
    """A scoreboard, and stations with the same units whose results never meet on a bus."""
    scoreboard = load_dynamic("scoreboard")
    integer = scoreboard.units["Integer"]
    slow = {**integer.latency_cycles, "load": 2, "store": 2}
    units = {**scoreboard.units, "Integer": integer.model_copy(update={"latency_cycles": slow})}
    first = scoreboard.model_copy(update={"units": units})
    second = TomasuloSpec.model_validate(
        {
            **load_dynamic("tomasulo").model_dump(exclude={"units"}),
            "units": {
                name: {
                    # The address takes one cycle and the access another.
                    "latency_cycles": {
                        kind: 1 if kind in ("load", "store") else cycles
                        for kind, cycles in unit.latency_cycles.items()
                    },
                    "units": unit.units,
                    "stations": unit.units,
                }
                for name, unit in units.items()
            },
            "common_data_buses": 9,
            "memory_ports": 9,
        }
    )
    return first, second


@settings(max_examples=60, deadline=None)
@given(program=programs())
def test_renaming_never_writes_later_than_a_scoreboard_with_the_same_units(program):
    scoreboard, tomasulo = (run_dynamic(spec, program) for spec in same_units())
    for one, other in zip(scoreboard.flights, tomasulo.flights, strict=True):
        assert other.issue <= one.issue
        if one.dest is not None:
            assert (other.write or other.issue) <= (one.write or one.issue)


@settings(max_examples=40, deadline=None)
@given(program=programs(), policy=st.sampled_from(["stall", "taken", "not-taken"]))
def test_knowing_where_branches_go_is_never_slower(program, policy):
    """Where nothing is short; where units are, whoever comes first may delay what matters more."""
    spec = load_dynamic("tomasulo-speculative")
    ample = {"stations": 200, "units": 200}
    plenty = {
        "units": {name: unit.model_copy(update=ample) for name, unit in spec.units.items()},
        "reorder_buffer_entries": 200,
        "common_data_buses": 200,
        "memory_ports": 200,
    }
    perfect, other = (
        run_dynamic(spec.model_copy(update={**plenty, "branches": branches}), program)
        for branches in ("perfect", policy)
    )
    kept = [flight for flight in other.flights if not flight.squashed]
    assert len(perfect.flights) == len(kept)
    for one, two in zip(perfect.flights, kept, strict=True):
        assert one.issue <= two.issue
        assert one.last <= two.last


@settings(max_examples=80, deadline=None)
@given(integer=st.integers(1, 4), adders=st.integers(1, 3), program=programs())
def test_a_scoreboard_with_any_units_keeps_the_order_of_reads_and_writes(integer, adders, program):
    scoreboard = load_dynamic("scoreboard")
    units = dict(scoreboard.units)
    units["Integer"] = units["Integer"].model_copy(update={"units": integer})
    units["Add"] = units["Add"].model_copy(update={"units": adders})
    check_state(scoreboard.model_copy(update={"units": units}), program)
