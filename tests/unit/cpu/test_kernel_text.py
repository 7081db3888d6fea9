"""Loop bodies as text: what is read, and what is said about unusable ones."""

from pathlib import Path

import pytest

from sim.cpu.kernelcores import KernelError, parse_kernel, read_kernel
from sim.cpu.kernelcores.text import Address

KERNELS = Path(__file__).parents[2] / "validation" / "data" / "ooo" / "kernels"
ISA = {"x": "x86_64", "a": "aarch64", "v": "riscv64"}


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.s")), ids=lambda path: path.stem)
def test_every_kernel_of_the_tables_is_read(path):
    kernel = read_kernel(path, ISA[path.name[0]])
    code = [line.strip() for line in path.read_text().splitlines()]
    written = [line for line in code if line and line[0] not in "#./" and not line.endswith(":")]
    assert len(kernel.instructions) == len(written)


def one(text, isa="x86_64"):
    (instruction,) = parse_kernel(text, isa).instructions
    return instruction


@pytest.mark.parametrize("name", ["eax", "rax", "ax", "al", "ah"])
def test_a_part_of_a_register_is_the_register(name):
    assert one(f"inc {name}").writes == ("rax", "flags")


def test_vector_registers_of_all_widths_are_one():
    assert one("vaddps xmm1, xmm2, xmm3").reads == one("vaddps zmm1, zmm2, zmm3").reads
    assert one("vaddps xmm1, xmm2, xmm3").width_bits == 128


def test_an_accumulator_is_read_and_written():
    fma = one("vfmadd231ps ymm0, ymm8, [rdi+32]")
    assert (fma.reads, fma.writes) == (("zmm0", "zmm8"), ("zmm0",))
    assert fma.load == Address(registers=("rdi",), offset=32, bytes=32)


def test_a_memory_operand_has_base_index_scale_and_offset():
    load = one("mov rax, qword ptr [rbx + rcx*8 - 16]").load
    assert load == Address(registers=("rbx", "rcx"), scale=8, offset=-16, bytes=8)


@pytest.mark.parametrize(
    ("text", "zeroes"),
    [
        ("xor eax, eax", True),
        ("vxorps ymm1, ymm2, ymm2", True),
        ("vxorps ymm1, ymm2, ymm3", False),
        ("sub rax, rax", True),
        ("and rax, rax", False),
    ],
)
def test_a_zero_idiom_reads_nothing(text, zeroes):
    assert one(text).zeroes == zeroes
    assert (one(text).reads == ()) == zeroes


def test_neon_pairs_and_lanes_are_read():
    pair = one("ldp q0, q1, [x0], #32", "aarch64")
    assert pair.writes == ("v0", "v1")
    assert pair.load == Address(registers=("x0",), bytes=32, post_increment=32)
    fma = one("fmla v8.4s, v2.4s, v0.s[1]", "aarch64")
    assert (fma.reads, fma.width_bits) == (("v8", "v2", "v0"), 128)
    assert one("add w1, wzr, w2", "aarch64").reads == ("x2",)


def test_riscv_stores_read_what_they_store():
    store = one("fsw ft1, -8(a1)", "riscv64")
    assert (store.reads, store.writes) == (("f1",), ())
    assert store.store == Address(registers=("x11",), offset=-8, bytes=4)


@pytest.mark.parametrize(
    ("isa", "text", "message"),
    [
        ("x86_64", "nop\nvaddsp ymm0, ymm1, ymm2", "k.s, line 2: unknown mnemonic 'vaddsp'; did"),
        ("x86_64", "ldr q0, [x0]", "aarch64 has it: take a core of that"),
        ("x86_64", "vaddps ymm0, ymm1", "line 1: 'vaddps' takes 3 operands, not 2"),
        ("x86_64", "vaddps ymm0, ymm1, ymm40", "line 1: unknown register 'ymm40'; did you mean"),
        ("x86_64", "mov rax, [rbx*3]", "line 1: unknown register 'rbx\\*3'"),
        ("x86_64", "mov [rax], [rbx]", "line 1: two operands in memory"),
        ("x86_64", "mov rax, [rbx+rcx+rdx]", "more than a base and an index"),
        ("x86_64", "mov rax, tword ptr [rbx]", "no memory operand"),
        ("x86_64", "l:\njnz m", "line 2: no label 'm'"),
        ("x86_64", "l:\njnz l\ninc rax", "line 2: 'jnz l' branches in the middle"),
        ("x86_64", ".macro x", "line 1: unknown directive '.macro'"),
        ("x86_64", "# nothing", "holds no instruction"),
        ("aarch64", "add x40, x1, x2", "unknown register 'x40'"),
        ("aarch64", "ldr q0, [x0], x1", "no post-increment"),
        ("aarch64", "ldr q0, x0", "no memory operand"),
        ("riscv64", "ld t0, a0", "no memory operand; write 8"),
        ("riscv64", "addi a0, a0, eight", "'eight' is no number"),
        ("riscv64", "add a0, a1, a9", "unknown register 'a9'"),
        ("mips", "add", "no instruction set is named 'mips'"),
    ],
)
def test_unusable_text_is_told_with_its_line(isa, text, message):
    with pytest.raises(KernelError, match=message):
        parse_kernel(text, isa, name="k.s")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(KernelError, match="cannot be read"):
        read_kernel(tmp_path / "none.s", "x86_64")
