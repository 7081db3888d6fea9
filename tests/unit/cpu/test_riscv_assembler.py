"""Assembly text to programs: every form that is written, and errors that name their line."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.riscv import AssemblyError, assemble, assemble_file, execute
from sim.cpu.riscv.registers import NUMBERS


def listing(text, **options):
    return [str(instruction) for instruction in assemble(text, **options).instructions]


def value_of(line, xlen=64):
    """What a line leaves in a0."""
    return execute(assemble(f"{line}\nebreak", xlen=xlen)).registers[NUMBERS["a0"]]


@settings(max_examples=150, deadline=None)
@given(value=st.integers(-(2**63), 2**64 - 1), zeros=st.integers(0, 60))
def test_li_loads_any_constant(value, zeros):
    for wanted in (value, value >> zeros << zeros, value >> zeros):
        assert value_of(f"li a0, {wanted}") == wanted % 2**64
        assert value_of(f"li a0, {wanted}", 32) == wanted % 2**32


@pytest.mark.parametrize(
    ("value", "count"), [(7, 1), (-2048, 1), (2048, 2), (0x6000, 1), (0x12345678, 2), (1 << 40, 2)]
)
def test_li_is_short_where_it_can_be(value, count):
    assert len(assemble(f"li a0, {value}", xlen=64).instructions) == count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nop", ["addi x0 x0 0"]),
        ("mv a0, t0", ["addi x10 x5 0"]),
        ("not a0, a1", ["xori x10 x11 -1"]),
        ("neg a0, a1", ["sub x10 x0 x11"]),
        ("seqz a0, a1", ["sltiu x10 x11 1"]),
        ("snez a0, a1", ["sltu x10 x0 x11"]),
        ("l: bgt a0, a1, l", ["blt x11 x10 0 <l>"]),
        ("l: bleu a0, a1, l", ["bgeu x11 x10 0 <l>"]),
        ("l: blez a0, l", ["bge x0 x10 0 <l>"]),
        ("l: bgtz a0, l", ["blt x0 x10 0 <l>"]),
        ("l: j l", ["jal x0 0 <l>"]),
        ("l: jal l", ["jal x1 0 <l>"]),
        ("l: call l", ["jal x1 0 <l>"]),
        ("l: tail l", ["jal x0 0 <l>"]),
        ("jr t0", ["jalr x0 x5 0"]),
        ("jalr t0", ["jalr x1 x5 0"]),
        ("jalr a0, t0, 4", ["jalr x10 x5 4"]),
        ("ret", ["jalr x0 x1 0"]),
        ("fmv.s fa0, fa1", ["fsgnj.s f10 f11 f11"]),
        ("fneg.s fa0, fa1", ["fsgnjn.s f10 f11 f11"]),
        ("fabs.s fa0, fa1", ["fsgnjx.s f10 f11 f11"]),
        ("fgt.s a0, fa0, fa1", ["flt.s x10 f11 f10"]),
        ("fence rw, rw", ["fence"]),
        ("rdcycle a0", ["csrrs x10 x0 3072"]),
        ("amoadd.w.aq a0, a1, (a2)", ["amoadd.w x10 x11 x12"]),
    ],
)
def test_pseudo_instructions_stand_for_real_ones(text, expected):
    assert listing(text) == expected


def test_la_and_symbol_operands_reach_their_data():
    text = """
        .data
    a:  .word 1, 2
    b:  .word 0x80000003
        .text
        la t0, b
        lw t1, 0(t0)
        lw t2, b
        la t0, a
        lw t3, 4(t0)
        li t4, 99
        sw t4, a, t5
        lw t6, a
        ebreak
    """
    registers = execute(assemble(text)).registers
    names = ("t1", "t2", "t3", "t6")
    assert [registers[NUMBERS[n]] for n in names] == [0x80000003, 0x80000003, 2, 99]


def test_hi_and_lo_complete_each_other():
    text = ".equ FAR, 0x12345FFF\nlui a0, %hi(FAR)\naddi a0, a0, %lo(FAR)\nebreak"
    assert execute(assemble(text)).registers[NUMBERS["a0"]] == 0x12345FFF


def test_numeric_labels_are_the_nearest_in_their_direction():
    text = "1: beqz a0, 1f\nj 1b\n1: bnez a0, 1b\nj 2f\n2: ebreak"
    branches = [i.immediate for i in assemble(text).instructions[:4]]
    assert branches == [8, -4, 0, 4]


def test_data_directives_lay_out_bytes():
    text = """
    .equ N, 3
    .data
    .byte -1, 'A', 0x7f
    .align 2
    .half 0x1234
    .space 2
    .word N * (4 + 1), l - 4
    l: .dword -2
    .float 1.5, inf
    .double -0.25
    .string "hi, #1;\\n"
    .fill 2, 2, 7
    .balign 8
    .text
    ebreak
    """
    expected = bytes([255, 65, 0x7F, 0]) + struct.pack("<Hxx", 0x1234)
    expected += struct.pack("<II", 15, 0x1000_0000 + 16 - 4) + struct.pack("<q", -2)
    expected += struct.pack("<ffd", 1.5, float("inf"), -0.25) + b"hi, #1;\n\0"
    expected += struct.pack("<HH", 7, 7)
    expected += bytes(-len(expected) % 8)
    assert assemble(text).data == expected


def test_comments_and_several_statements_on_a_line():
    text = "li a0, 1 # one\n// nothing\n/* two\nlines */ li a1, 2; li a2, 3\nebreak"
    program = assemble(text)
    assert [i.line for i in program.instructions] == [1, 4, 4, 5]


def test_text_is_aligned_with_nops_and_labels_follow():
    program = assemble("nop\n.p2align 4\nl: ebreak")
    assert len(program.instructions) == 5
    assert program.symbols["l"] == 16


def test_symbols_may_come_from_outside():
    assert assemble(".data\n.word N\n.text\nnop", symbols={"N": 5}).data == b"\5\0\0\0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nop\nadd a0, a1", "f.s, line 2: 'add' takes 3 operands, not 2"),
        ("addii a0, a1, 2", "f.s, line 1: unknown instruction 'addii'; did you mean 'addi'?"),
        ("add a0, a1, aa2", "unknown register 'aa2'; did you mean 'a2'?"),
        ("fadd.s fa0, fa1, a2", "'fadd.s' needs a floating-point register, not 'a2'"),
        ("add a0, a1, fa2", "'add' needs an integer register, not 'fa2'"),
        ("addi a0, a1, 2048", "takes a number from -2048 to 2047, not 2048"),
        ("slli a0, a1, 32", "takes a number from 0 to 31, not 32"),
        ("ld a0, 0(a1)", "'ld' needs RV64; assemble with xlen=64"),
        ("lw a0, a1", "unknown symbol 'a1'"),
        ("lw a0, 4[a1]", "is no expression at '[a1]"),
        ("beq a0, a1, nowhere", "unknown symbol 'nowhere'; define the label"),
        ("beq a0, a1, 3", "takes a number from -4096 to 4094 and even, not 3"),
        ("a: nop\na: nop", "line 2: label 'a' is there twice; rename one"),
        (".data\nadd a0, a0, a0", "an instruction among data; write .text before it"),
        (".word 1", "'.word' among instructions; write .data before it"),
        (".wrod 1", "unknown directive '.wrod'; did you mean '.word'?"),
        (".data\n.byte 256", "'.byte': 256 does not fit in 1 bytes"),
        (".data\n.float x", "'x' is no number; write 1.5, inf or nan"),
        (".data\n.string hi", 'hi is no string; write "text"'),
        (".data\n.space -1", "-1 bytes or times"),
        (".align 99", "'99' is no alignment; write a power of two"),
        (".section .foo", "unknown section '.foo'"),
        ("csrr a0, mcycel", "unknown control register 'mcycel'; did you mean 'mcycle'?"),
        ("fadd.s fa0, fa1, fa2, rzt", "unknown rounding mode 'rzt'; did you mean 'rtz'?"),
        ("amoadd.w a0, a1, 4(a2)", "an atomic has no offset; write (a0)"),
        ("li a0, 1 +", "'1 +' ends too early"),
        ("li a0, (1", "'(1' lacks a ')'"),
        ("li a0, 1/0", "'1/0' divides by zero"),
        ("li a0, 1 2", "'2' is one too many"),
        ("lui a0, %high(4)", "unknown function '%high'"),
        (".equ A", "write .equ NAME, value"),
        ("# nothing", "the text has no instruction"),
    ],
)
def test_what_cannot_be_assembled_says_where_and_what_to_write(text, message):
    with pytest.raises(AssemblyError) as error:
        assemble(text, name="f.s")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("f.s")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AssemblyError, match=r"gone\.s: cannot be read"):
        assemble_file(tmp_path / "gone.s")


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="lwadi a0,1(%:.\"'#;\n-xs", max_size=40))
def test_any_text_assembles_or_is_refused_with_its_place(text):
    try:
        assemble(text, name="f.s")
    except AssemblyError as error:
        assert str(error).startswith("f.s")  # noqa: PT017 - both ways are right
