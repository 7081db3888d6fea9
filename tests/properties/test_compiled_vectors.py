"""The compiled machine's vector side: the readable machine's values, the readable unit's cycles."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.inorder import PipelineRules
from sim.cpu.riscv import ExecutionError, Machine, assemble
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.vector.configuration import GROUPINGS, WIDTHS, decode_vtype
from sim.cpu.riscv.vector.legality import problem
from sim.cpu.riscv.vector.operands import VectorOperands
from sim.cpu.riscv.vector.operation import Addressing, Form, Scalar
from sim.cpu.riscv.vector.table import VECTOR_OPERATIONS
from sim.cpu.riscv.vector.unit import VectorUnit, VectorUnitSpec, Work
from sim.memory.cache.spec import hierarchy

NAMES = sorted(name for name, row in VECTOR_OPERATIONS.items() if row.form is not Form.SET)
WORDS = [0, 1, -1, 127, -128, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 31, 64, 5]
FLOATS = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-42, 3e38, 0.5, 2.5, 1e-310, 65535.5]
BUFFER_WORDS = 64
patterns = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from([int(np.float64(x).view(np.uint64)) for x in FLOATS]),
    st.sampled_from([int(np.float32(x).view(np.uint32)) * (2**32 + 1) for x in FLOATS]),
    st.integers(-(2**63), 2**64 - 1),
)
vlens = st.sampled_from([32, 64, 128, 256])
registers = st.sampled_from([0, 1, 2, 4, 8, 12, 16, 20, 24, 28])


def scalar_words(draw, operation):
    """Operands by letter."""
    immediate = st.integers(-16, 15)
    return {
        "s": f"x{draw(st.integers(13, 31))}",
        "S": f"f{draw(st.integers(0, 31))}",
        "q": str(draw(immediate)),
        "z": str(draw(immediate) % 32),
        "d": f"x{draw(st.integers(13, 31))}",
        "D": f"f{draw(st.integers(0, 31))}",
        "n": "v0",
        "a": "(x9)",
    }


def vector_words(operation, operands):
    return {"V": f"v{operands.vd}", "W": f"v{operands.vd}", "v": f"v{operands.vs2}"} | {
        "w": f"v{operands.vs1}"
    }


@st.composite
def vector_instruction(draw, vlen, *, legal=True):
    """A configuration and an instruction under it, legal if wanted."""
    operation = VECTOR_OPERATIONS[name := draw(st.sampled_from(NAMES))]
    letters = operation.operands
    indexed = operation.addressing is Addressing.INDEXED
    fields = {"V": "vd", "W": "vd", "v": "vs2", "w": "vs1"}
    for _ in range(12):
        width, grouping = draw(st.sampled_from([*WIDTHS])), draw(st.sampled_from([*GROUPINGS]))
        chosen = {fields[c]: draw(registers) for c in letters if c in fields}
        chosen |= {"vs2": 24} if indexed else {}
        masked = letters.endswith("M") and draw(st.booleans())
        operands = VectorOperands(**chosen, masked=masked)
        vtype = decode_vtype(WIDTHS[width] << 3 | GROUPINGS[grouping], vlen)
        if vtype is None and not operation.needs_vtype:
            continue  # legal whatever the vtype is
        good = vtype is not None and not problem(operation, operands, vtype, vlen)
        if good is legal:
            break
    else:
        return ["nop"]
    words = scalar_words(draw, operation) | vector_words(operation, operands)
    if operation.addressing is Addressing.STRIDED:
        words["s"] = "x11"
    texts = [words[letter] for letter in letters.removesuffix("M")]
    line = f"{name} {', '.join(texts)}{', v0.t' if masked else ''}"
    lines = []
    if indexed and operation.element_bits <= min(64, vlen):
        lines += [f"vsetvli x12, x0, e{operation.element_bits}, m8, ta, ma", "vand.vi v24, v24, 8"]
    length = draw(st.sampled_from(["x0", "x0", "x10", "x8"]))
    return [*lines, f"vsetvli x12, {length}, {width}, {grouping}, ta, mu", line]


@st.composite
def vector_program(draw, vlen, xlen=64, *, ending=(), loops=1):
    body = [draw(vector_instruction(vlen)) for _ in range(draw(st.integers(1, 10)))]
    load, size = ("ld", 8) if xlen == 64 else ("lw", 4)
    lines = ["la x9, buffer", f"li x8, {loops}", "li x10, 3", "li x11, 8"]
    lines += [f"{load} x{n}, {size * n}(x9)" for n in range(13, 32)]
    lines += [f"fld f{n}, {8 * n}(x9)" for n in range(32)]
    lines += ["vsetvli x12, x0, e8, m8, ta, ma"]
    lines += [f"addi x12, x9, {16 * n}\nvl8r.v v{8 * n}, (x12)" for n in range(4)]
    lines += ["loop:", *(line for part in body for line in part), *ending]
    lines += ["csrr x13, vl", "csrr x14, vtype", "csrr x15, vlenb"]
    lines += ["addi x8, x8, -1", "bnez x8, loop", "li a7, 10", "ecall"]
    content = draw(st.lists(patterns, min_size=BUFFER_WORDS, max_size=BUFFER_WORDS))
    data = ".data\n.balign 64\nbuffer: .dword " + ", ".join(str(x % 2**64) for x in content)
    room = f".zero {8 * 256}"
    return assemble("\n".join([*lines, data, room]), xlen=xlen)


def outcome(run):
    """What a run leaves, or the message with which it ends."""
    try:
        return run()
    except ExecutionError as error:
        return str(error).split("; the program has")[0]


def readable(built, vlen):
    machine = Machine(built, vlen_bits=vlen)
    while machine.exit_code is None:
        machine.step()
    data = machine.memory.dump(built.data_base, len(built.data))
    return tuple(machine.registers), bytes(machine.vectors.content), data


def compiled(built, vlen):
    machine = CompiledMachine(built, vlen_bits=vlen)
    machine.run()
    data = machine.memory.view(built.data_base, len(built.data)).tobytes()
    return machine.registers, machine.vector_registers, data


@given(data=st.data(), vlen=vlens, xlen=st.sampled_from([64, 64, 32]))
@settings(deadline=None, max_examples=60)
def test_the_compiled_machine_leaves_the_vector_registers_of_the_readable_one(data, vlen, xlen):
    built = data.draw(vector_program(vlen, xlen))
    expected = outcome(lambda: readable(built, vlen))
    assert outcome(lambda: compiled(built, vlen)) == expected
    assert not isinstance(expected, str), expected


ROUNDED = [
    name
    for name, row in VECTOR_OPERATIONS.items()
    if row.form is Form.ELEMENTWISE and name.startswith("vf") and not any(row.widths)
]
WORD_ACCESSES = ["vle32.v", "vse32.v", "vle64.v", "vse64.v", "vl2re32.v", "vs2r.v"]


@st.composite
def plain_instruction(draw):
    """An instruction without a mask under e32, on groups of two registers, vl as it comes."""
    names = draw(st.sampled_from([ROUNDED, ROUNDED, WORD_ACCESSES]))
    operation = VECTOR_OPERATIONS[name := draw(st.sampled_from(names))]
    if operation.form is not Form.ELEMENTWISE:
        near = draw(st.sampled_from([*range(0, 2048, 128), 4, 8, 1020, 2, 2528, 2552, 2556])) - 512
        return f"addi x12, x9, {near}\n{name} v{4 * draw(st.integers(0, 7))}, (x12)"
    evens = st.integers(0, 15).map(lambda n: f"v{2 * n}")
    words = {letter: draw(evens) for letter in "Vvw"} | {"S": f"f{draw(st.integers(0, 31))}"}
    return f"{name} {', '.join(words[letter] for letter in operation.operands.removesuffix('M'))}"


@given(data=st.data(), vlen=vlens, vl=st.integers(0, 40))
@settings(deadline=None, max_examples=120)
def test_whole_groups_of_singles_are_computed_and_moved_as_the_readable_machine_does(
    data, vlen, vl
):
    """In place and from group to group, up to the end of memory and over it."""
    body = data.draw(st.lists(plain_instruction(), min_size=1, max_size=6))
    body = [f"li x10, {vl}", "vsetvli x12, x10, e32, m2, ta, ma", *body]
    built = data.draw(vector_program(vlen, ending=["addi x9, x9, 512", *body]))
    expected = outcome(lambda: readable(built, vlen))
    assert outcome(lambda: compiled(built, vlen)) == expected


@given(data=st.data(), vlen=vlens)
@settings(deadline=None, max_examples=60)
def test_an_illegal_instruction_ends_both_machines_in_the_same_words(data, vlen):
    wrong = data.draw(vector_instruction(vlen, legal=False))
    built = data.draw(vector_program(vlen, ending=wrong))
    expected = outcome(lambda: readable(built, vlen))
    assert outcome(lambda: compiled(built, vlen)) == expected
    if wrong != ["nop"]:
        assert expected.startswith("assembly, line ")


LINE_BYTES = 32
LATENCIES = {Kind.FLOAT: 4, Kind.FLOAT_MULTIPLY: 5, Kind.FLOAT_DIVIDE: 9, Kind.MULTIPLY: 3}


@st.composite
def timing(draw):
    return CoreTiming(
        rules=PipelineRules(forwarding=draw(st.booleans()), shared_port=False),
        caches=hierarchy({"capacity_bytes": 2**16, "line_bytes": LINE_BYTES, "ways": 2**11}),
        latency_cycles=LATENCIES,
        miss_cycles=(0, draw(st.sampled_from([0, 7]))),
        vector=VectorUnitSpec(
            datapath_bits=draw(st.sampled_from([32, 64, 256])),
            memory_bytes_per_cycle=draw(st.sampled_from([4, 16])),
            chaining=draw(st.booleans()),
        ),
    )


class Caches:
    """A cache that forgets nothing: a line costs at its first touch only."""

    def __init__(self, cost):
        self.cost, self.seen = cost, set()

    def cycles(self, address, size):
        lines = set(range(address // LINE_BYTES, (address + size - 1) // LINE_BYTES + 1))
        new = lines - self.seen
        self.seen |= lines
        return self.cost * bool(new)


def spans(operation, state, base, stride, operands):
    """Addresses and sizes that a vector access asks the caches for."""
    size, count = operation.element_bits // 8, state.length
    if operation.addressing is Addressing.WHOLE:
        count = operation.whole_registers * state.register_bytes // size
    elif operation.addressing is Addressing.MASK:
        count = -(-state.length // 8)
    elif operation.addressing is Addressing.INDEXED:
        offsets = [state.element(operands.vs2, i, 8 * size) for i in range(count)]
        size = state.type.element_bits // 8
        apart = [(base + offset, size) for offset in offsets]
    if operation.addressing is Addressing.STRIDED:
        apart = [(base + i * stride, size) for i in range(count)]
    if operation.addressing in (Addressing.STRIDED, Addressing.INDEXED):
        return [s for i, s in enumerate(apart) if not operands.masked or state.bit(0, i)]
    ends = [*range(-base % LINE_BYTES, count * size, LINE_BYTES), count * size]
    begins = [0, *[end for end in ends if end]]
    return [(base + a, b - a) for a, b in pairwise(begins)]


def held(elements, bits, state):
    return max(1, -(-elements * bits // (8 * state.register_bytes)))


def work_of(  # noqa: C901, PLR0915 - each form by the manual's words
    instruction, machine, core, caches
):
    """What an instruction asks of the unit, from the manual's words."""
    operation, operands, state = instruction.operation, instruction.vector, machine.vectors
    form, vl, spec = operation.form, state.length, core.vector
    sew = state.type.element_bits if state.type else 8
    widths = [int(sew * 2.0**power) for power in operation.widths]
    dest, second, first = (held(vl, bits, state) for bits in widths)
    like = {Kind.LOAD: 2} | LATENCIES
    latency, misses = like.get(operation.like, 1), 0
    memory = form in (Form.LOAD, Form.STORE)
    if memory:
        values = [machine.registers[source] for source in instruction.sources]
        asked = spans(operation, state, values[0], values[-1], operands)
        misses = sum(caches.cycles(address, size) for address, size in asked)
        indexed = operation.addressing is Addressing.INDEXED
        bits = sew if indexed else operation.element_bits
        count = vl
        if operation.addressing is Addressing.WHOLE:
            count = operation.whole_registers * state.vlen_bits // bits
        elif operation.addressing is Addressing.MASK:
            count = -(-vl // 8)
        occupies = -(-count * bits // (8 * spec.memory_bytes_per_cycle))
        if operation.addressing in (Addressing.STRIDED, Addressing.INDEXED):
            occupies = count
        dest, second = held(count, bits, state), held(vl, operation.element_bits, state)
    else:
        bits, count = max(widths), vl
        if form in (Form.MASK, Form.COUNT, Form.FIRST):
            bits, second = 1, 1
        if form in (Form.TO_SCALAR, Form.FROM_SCALAR):
            count = 1
        if form is Form.COPY:
            bits, count = 8, operation.whole_registers * state.register_bytes
            dest = second = operation.whole_registers
        occupies = max(1, -(-count * bits // spec.datapath_bits))
        if form is Form.GATHER:
            occupies = vl
        elif operation.like in (Kind.FLOAT_DIVIDE, Kind.DIVIDE):
            occupies *= latency
        elif form is Form.REDUCE and vl:
            lanes = max(1, min(vl, spec.datapath_bits // bits))
            steps = 1 + int(np.ceil(np.log2(lanes)))
            ordered = instruction.mnemonic == "vfredosum.vs"
            occupies = vl * latency if ordered else occupies + steps * latency
        if form in (Form.COMPARE, Form.MASK, Form.REDUCE, Form.FROM_SCALAR):
            dest = 1
        second = 1 if form is Form.TO_SCALAR else second
        first = 1 if form in (Form.MASK, Form.REDUCE) else first
    read = list(range(operands.vs2, operands.vs2 + second)) if operands.vs2 >= 0 else []
    read += list(range(operands.vs1, operands.vs1 + first)) if operands.vs1 >= 0 else []
    own = list(range(operands.vd, operands.vd + dest)) if operands.vd >= 0 else []
    read += own if operation.reads_vd or form is Form.STORE else []
    return Work(
        memory=memory,
        occupies_cycles=max(1, occupies),
        latency_cycles=latency,
        miss_cycles=misses,
        results=[] if form is Form.STORE else own,
        operands=[*read, *([0] if operands.masked else [])],
    )


def reference_cycles(built, core, vlen):
    """The recurrences of `inorder_compiled`, and the readable unit beside them."""
    machine, caches = Machine(built, vlen_bits=vlen), Caches(core.miss_cycles[1])
    unit, leave, redirect, ready, end = VectorUnit(core.vector), [0] * 5, 0, {}, 0
    while machine.exit_code is None:
        instruction = machine.fetch(machine.address)
        operation = instruction.operation
        vector = operation.kind is Kind.VECTOR and operation.form is not Form.SET
        work = work_of(instruction, machine, core, caches) if vector else None
        step = machine.step()
        miss = 0
        if operation.accesses_memory:
            miss = caches.cycles(step.data_address, operation.bytes)
        operands = [ready.get(source, 0) for source in instruction.sources if source]
        fetched = max(max(leave[0], redirect) + 1, leave[1])
        accepted = unit.accepts(work) if vector else 0
        decoded = max(fetched + 1, leave[2], accepted, *operands, 0)
        executed = max(decoded + 1, leave[3])
        loaded = max(executed + 1 + miss, leave[4])
        latency = core.latency_cycles.get(operation.kind, 1)
        result = decoded + latency
        if operation.kind in (Kind.LOAD, Kind.ATOMIC):
            result = executed + 1 + miss
        result = result if core.rules.forwarding else loaded + latency
        if vector:
            done = unit.begin(work, decoded)
            result, end = max(result, done), max(end, *unit.last, *unit.free.values())
        if instruction.dest is not None:
            ready[instruction.dest] = result
        redirect = decoded + 1 if step.taken else fetched
        leave = [fetched, decoded, executed, loaded, loaded + 1]
    return max(leave[4], end)


@given(data=st.data(), core=timing(), vlen=st.sampled_from([64, 128, 256]))
@settings(deadline=None, max_examples=60)
def test_vector_programs_take_the_cycles_of_the_readable_unit(data, core, vlen):
    built = data.draw(vector_program(vlen, loops=data.draw(st.integers(1, 2))))
    machine = CompiledMachine(built, timing=core, vlen_bits=vlen)
    stack = sum(section.stack.total for section in machine.run())
    assert stack == reference_cycles(built, core, vlen)


@given(data=st.data(), core=timing(), block=st.integers(1, 9))
@settings(deadline=None, max_examples=20)
def test_it_does_not_matter_how_many_vector_instructions_pass_at_once(data, core, block):
    built = data.draw(vector_program(128))
    whole = CompiledMachine(built, timing=core).run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.cpu.riscv.compiled.core.BLOCK", block)
        assert CompiledMachine(built, timing=core).run() == whole


def test_operands_of_every_kind_have_a_case():
    letters = {letter for row in VECTOR_OPERATIONS.values() for letter in row.operands}
    assert letters == set("VWvwsSqzdDnaMt")
    assert {row.scalar for row in VECTOR_OPERATIONS.values()} == set(Scalar)
