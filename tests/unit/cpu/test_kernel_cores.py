"""Kernels on cores: exact steady states, bounds, and what a core's file must have."""

from fractions import Fraction

import pytest

from sim.cpu.kernelcores import KernelError, core_names, load_core, parse_kernel, run_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelcores.spec import read_core
from sim.errors import SpecError


def result(text, core):
    spec = load_core(core)
    return run_kernel(parse_kernel(text, spec.isa), spec)


def cycles(text, core="skylake"):
    found = result(text, core)
    assert found.proved
    return found.cycles_per_iteration


@pytest.mark.parametrize(("core", "latency"), [("haswell", 5), ("skylake", 4), ("zen2", 5)])
def test_an_accumulator_is_bound_by_its_latency(core, latency):
    assert cycles("vfmadd231ps ymm0, ymm1, ymm2", core) == latency


def test_independent_multiplications_fill_both_units():
    text = "\n".join(f"vmulps ymm{at}, ymm14, ymm15" for at in range(8))
    assert cycles(text) == 4
    assert cycles(text, "haswell") == 4


def test_rename_passes_four_micro_ops_a_cycle():
    text = "\n".join(f"vmovups ymm{at}, [rsi+{32 * at}]" for at in range(2))
    assert cycles(text + "\nvpaddd ymm2, ymm3, ymm4\n" * 6) == Fraction(2)


def test_an_eliminated_copy_adds_nothing_to_a_chain():
    chain = "mov rbx, rax\nadd rbx, rcx\nmov rax, rbx"
    assert cycles(chain, "skylake") == 1
    assert cycles(chain, "icelake") == 3  # copies of integer registers execute there


def test_a_zero_idiom_ends_a_chain_and_needs_no_unit():
    chain = "vaddps ymm0, ymm0, ymm1\n" * 4
    assert cycles(chain) == 16
    assert cycles("vxorps ymm0, ymm0, ymm0\n" + chain) < 16
    assert dict(result("vxorps ymm0, ymm0, ymm0\nnot rax", "skylake").pressure)["p5"] < 1


def test_a_store_is_forwarded_to_a_load_of_the_same_place():
    chain = "mov rax, [rdi]\nadd rax, 1\nmov [rdi], rax"
    assert cycles(chain, "skylake") == 5 + 1
    other = "mov rax, [rdi+8]\nadd rax, 1\nmov [rdi], rax"
    assert cycles(other, "skylake") == 1


def test_a_store_is_forwarded_across_iterations_as_pointers_move():
    text = "mov rax, [rdi]\nadd rax, 1\nmov [rdi+{}], rax\nadd rdi, 8"
    assert cycles(text.format(8)) == 5 + 1
    later = text.replace("rdi", "rcx").format(16)
    assert round(float(result(later, "skylake").cycles_per_iteration)) == 3  # two iterations before
    assert cycles(text.format(4)) == 5 + 1  # overlaps
    assert cycles(text.format(-8)) == 1


def test_a_divider_takes_no_second_division_meanwhile():
    assert cycles("vdivps ymm0, ymm1, ymm2", "skylake") == 5
    assert cycles("vdivps ymm0, ymm1, ymm2", "broadwell") == 10
    assert result("vdivps ymm0, ymm1, ymm2", "haswell").bottleneck == "divider"


def test_compare_and_branch_are_one_micro_op_where_they_fuse():
    text = "l:\nvmulps ymm0, ymm1, ymm2\ninc rax\ndec rcx\njnz l"
    assert result(text, "skylake").slots_per_iteration == 3
    assert result(text, "zen2").slots_per_iteration == 4  # fuses only cmp and test
    assert result(text.replace("dec rcx", "cmp rcx, rdx"), "zen2").slots_per_iteration == 3


def test_a_load_beside_arithmetic_shares_its_slot():
    found = result("vaddps ymm0, ymm1, [rsi]", "skylake")
    assert (found.slots_per_iteration, found.micro_ops_per_iteration) == (1, 2)
    assert result("vaddps ymm0, ymm1, [rsi]", "llvm-skylake-avx512").slots_per_iteration == 2


def test_wide_vectors_take_two_passes_on_zen_4():
    assert cycles("vmulps zmm0, zmm1, zmm2\nvmulps zmm3, zmm1, zmm2", "zen4") == 2
    assert cycles("vmulps ymm0, ymm1, ymm2\nvmulps ymm3, ymm1, ymm2", "zen4") == 1


def test_in_order_results_are_written_in_order():
    # the second load writes its pointer at once, so it waits until the first one's data is there
    text = "ldr q0, [x0], #16\nldr q1, [x1], #16"
    assert cycles(text, "cortex-a55") == 6
    assert cycles("ldr q0, [x0]\nldr q1, [x1]", "cortex-a55") == 2
    assert result(text, "cortex-a55").bottleneck == "in-order issue"


def test_a_dual_issue_core_pairs_by_pipe():
    assert cycles("add a0, a1, a2\nadd a3, a1, a2", "sifive-u74") == 1
    assert cycles("mul a0, a1, a2\nmul a3, a1, a2", "sifive-u74") == 2
    assert cycles("ld a0, 0(a1)\nmul a3, a1, a2", "sifive-u74") == 1


def test_bounds_of_a_product_kernel_are_those_of_its_parts():
    text = "l:\nvmovups ymm1, [rsi]\nvfmadd231ps ymm0, ymm1, [rdi]\nadd rsi, 32\ndec rcx\njnz l"
    bounds = result(text, "skylake").bounds
    assert (bounds.front_end, bounds.ports, bounds.memory) == (1, 1, 1)
    assert (bounds.dependencies, bounds.chain) == (4, (3,))
    assert result(text, "skylake").bottleneck == "dependencies"


def test_stamps_follow_the_pipeline():
    found = result("vmovups ymm1, [rsi]\nvaddps ymm0, ymm0, ymm1", "haswell")
    load, add = found.stamps[:2]
    assert (load.issued - load.renamed, load.complete - load.issued) == (5, 7)
    assert add.issued == load.complete
    assert all(s.renamed <= s.issued < s.complete <= s.retired for s in found.stamps)


@pytest.mark.parametrize("name", core_names())
def test_every_core_is_read_and_runs(name):
    texts = {"x86_64": "add rax, 1", "aarch64": "add x0, x0, #1", "riscv64": "addi a0, a0, 1"}
    spec = load_core(name)
    assert spec.name == name
    assert cycles(texts[spec.isa], name) == 1


def test_what_a_core_does_not_know_is_told():
    with pytest.raises(KernelError, match="no core is named 'zen5'; did you mean 'zen"):
        load_core("zen5")
    with pytest.raises(KernelError, match="is x86_64, but cortex-a55 executes aarch64"):
        build_body(parse_kernel("inc rax", "x86_64"), load_core("cortex-a55"))
    with pytest.raises(KernelError, match="is of avx512f, which haswell has not; take icelake, "):
        result("vpdpbusd zmm0, zmm1, zmm2", "haswell")


def test_the_fitted_loop_unrolling_moves_a_short_loop():
    spec = load_core("haswell")
    assert spec.calibration.loop_unroll_micro_ops == 30
    fitted = type(spec.calibration)(loop_unroll_micro_ops=0)
    kernel = parse_kernel("l:\nvxorps ymm0, ymm0, ymm0\n" * 1 + "nop\n" * 3 + "jnz l", "x86_64")
    unrolled = run_kernel(kernel, spec).cycles_per_iteration
    single = run_kernel(kernel, spec.model_copy(update={"calibration": fitted}))
    assert unrolled < single.cycles_per_iteration == 2


def test_a_number_without_a_source_is_refused(tmp_path):
    path = tmp_path / "core.yaml"
    path.write_text("name: c\nkind: chip\nissue_width: 4\n")
    with pytest.raises(SpecError, match="'issue_width': a chip's number needs a `source:`"):
        read_core(path)
