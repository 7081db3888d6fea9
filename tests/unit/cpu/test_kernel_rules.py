"""Rules of cores beside the tables: un-lamination, pointers, forwarding by operand, rows' order."""

from dataclasses import replace
from fractions import Fraction

import pytest

from sim.cpu.kernelcores import KernelError, load_core, parse_kernel, run_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelcores.spec import cost_keys, cost_of


def slots(text, core):
    spec = load_core(core)
    return build_body(parse_kernel(text, spec.isa), spec).slots


def cycles(text, core, **changes):
    spec = load_core(core).model_copy(update=changes)
    found = run_kernel(parse_kernel(text, spec.isa), spec)
    assert found.proved
    return found.cycles_per_iteration


@pytest.mark.parametrize("core", ["haswell", "broadwell", "skylake", "skylake-avx512"])
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("vaddps ymm0, ymm1, [rsi]", 1),
        ("vaddps ymm0, ymm1, [rsi+rax]", 2),
        ("vfmadd231ps ymm0, ymm1, [rsi+rax]", 2),
        ("addps xmm0, [rsi+rax]", 1),
        ("pshufd xmm0, [rsi+rax], 3", 2),
        ("add rbx, [rsi+rax]", 1),
        ("cmp rbx, [rsi+rax]", 1),
        ("vmovups [rsi+rax], ymm0", 1),
        ("vmovups ymm0, [rsi+rax]", 1),
    ],
)
def test_an_indexed_load_parts_from_vex_arithmetic_and_stays_with_an_accumulating_one(
    core, text, count
):
    assert slots(text, core) == count


def test_a_core_without_un_lamination_keeps_an_indexed_load_in_one_slot():
    assert slots("vaddps ymm0, ymm1, [rsi+rax]", "icelake") == 1


def test_an_indexed_load_of_arithmetic_takes_two_of_the_four_slots_of_a_cycle():
    plain = (
        "\n".join(f"vaddps ymm{at}, ymm14, [rsi+{32 * at}]" for at in range(4))
        + "\nnot r8\nnot r9\nnot r10\nnot r11"
    )
    indexed = plain.replace("[rsi", "[rsi+rdx")
    assert cycles(plain, "skylake") == 2
    assert cycles(indexed, "skylake") == 3


def test_a_store_with_an_index_does_not_take_port_seven():
    text = "mov [rsi{}], rbx"
    with_index = run_kernel(parse_kernel(text.format("+rax"), "x86_64"), load_core("skylake"))
    plain = run_kernel(parse_kernel(text.format(""), "x86_64"), load_core("skylake"))
    assert dict(with_index.pressure)["p7"] == 0
    assert dict(plain.pressure)["p7"] == Fraction(1, 3)


def test_a_stored_pointer_waits_for_the_data_only_where_instructions_issue_whole():
    text = "fadd s0, s0, s1\nstr s0, [x1], #4"
    chained = "ldr s0, [x1]\nfadd s0, s0, s2\nstr s0, [x1], #4"
    assert cycles(text, "llvm-cortex-a76") == 5
    assert cycles(chained, "llvm-cortex-a76") == 5 + 5 + 1
    assert cycles(chained, "cortex-a76", store_forward_cycles=None) == 1


@pytest.mark.parametrize(
    ("core", "latency"), [("zen2", 2), ("zen3", 2), ("zen4", 2), ("skylake", 1)]
)
def test_an_address_with_a_scaled_index_has_a_latency_of_its_own(core, latency):
    assert cycles("lea rax, [rbx+rax*4]", core) == latency
    assert cycles("lea rax, [rbx+rax]", core) == 1


def test_without_a_forwarding_latency_no_load_waits_for_a_store():
    text = "mov rax, [rdi]\nadd rax, 1\nmov [rdi], rax"
    assert cycles(text, "skylake") == 5 + 1
    assert cycles(text, "skylake", store_forward_cycles=None) == 1
    assert cycles(text, "llvm-skylake-avx512") == 1


def test_a_shifted_operand_and_an_addend_are_forwarded_as_operands_of_their_own():
    assert cycles("add x0, x0, x7, lsl #2", "cortex-a55") == 1
    assert cycles("add x0, x7, x0, lsl #2", "cortex-a55") == 2
    assert cycles("madd x0, x6, x7, x0", "cortex-a55") == 2
    assert cycles("madd x0, x0, x6, x7", "cortex-a55") == 3


def test_flags_are_not_forwarded_early():
    assert cycles("cmp x0, x1\ncsel x0, x0, x2, eq", "cortex-a55") == 3 + 1


def test_a_row_of_a_mnemonic_goes_before_its_class_and_a_memory_form_before_both():
    core = load_core("llvm-icelake-server")
    keys = cost_keys(
        core, "shuffle", 256, parse_kernel("vpermilps ymm0, ymm1, [rsi]", "x86_64").instructions[0]
    )
    names = list(dict.fromkeys(name for name, _, column in keys if column == "LICL"))
    assert names == ["shuffle@vpermilps.load", "shuffle.load", "shuffle"]
    each = parse_kernel("vpermilps ymm0, ymm1, ymm2", "x86_64").instructions[0]
    ((need,),) = cost_of(core, "shuffle", 256, each).micro_ops
    assert need.units == ("p5",)
    other = replace(each, mnemonic="vshufps")
    ((need,),) = cost_of(core, "shuffle", 256, other).micro_ops
    assert need.units == ("p1", "p5")


def test_a_pre_indexed_access_moves_its_base_and_a_register_offset_reads_an_index():
    before = parse_kernel("ldr q0, [x0, #16]!", "aarch64").instructions[0].load
    assert (before.offset, before.post_increment, before.bytes) == (16, 16, 16)
    scaled = parse_kernel("ldrb w0, [x1, w2, uxtw]", "aarch64").instructions[0].load
    assert (scaled.registers, scaled.bytes) == (("x1", "x2"), 1)


def test_a_list_of_registers_is_read_and_written_as_a_whole():
    each = parse_kernel("ld1 {v0.4s-v3.4s}, [x0], #64", "aarch64").instructions[0]
    assert each.writes == ("v0", "v1", "v2", "v3")
    assert (each.memory_class, each.load.bytes) == ("vload_many4", 64)
    lane = parse_kernel("ld1 {v0.s}[1], [x0]", "aarch64").instructions[0]
    assert (lane.memory_class, lane.reads, lane.load.bytes) == ("vload_lane", ("v0",), 4)


@pytest.mark.parametrize(
    ("isa", "text", "problem"),
    [
        ("aarch64", "csel x0, x1, x2, egg", "'egg' is no condition"),
        ("aarch64", "ld1 {v0.4s, v99.4s}, [x0]", "unknown register 'v99.4s'"),
        ("x86_64", "movhps xmm0, xmm1", "needs an operand in memory; write"),
    ],
)
def test_wrong_operands_are_named(isa, text, problem):
    with pytest.raises(KernelError, match=problem):
        parse_kernel(text, isa)


def test_address_arithmetic_of_bit_manipulation_is_refused_where_the_core_lacks_it():
    kernel = parse_kernel("sh2add a0, a1, a2", "riscv64")
    with pytest.raises(KernelError, match="is of zba, which sifive-u74 has not"):
        build_body(kernel, load_core("sifive-u74"))
