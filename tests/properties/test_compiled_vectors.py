"""The compiled machine's vector side: the readable machine's values, the readable unit's cycles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.inorder import PipelineRules
from sim.cpu.riscv import ExecutionError, Machine, assemble, execute
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


@given(data=st.data(), vlen=vlens)
@settings(deadline=None, max_examples=60)
def test_an_illegal_instruction_ends_both_machines_in_the_same_words(data, vlen):
    wrong = data.draw(vector_instruction(vlen, legal=False))
    built = data.draw(vector_program(vlen, ending=wrong))
    expected = outcome(lambda: readable(built, vlen))
    assert outcome(lambda: compiled(built, vlen)) == expected
    if wrong != ["nop"]:
        assert expected.startswith("assembly, line ")
