"""Masks, broadcasts, tiles, division: exact cycles, and errors that say what to do."""

from fractions import Fraction
from itertools import pairwise

import pytest

from sim.cpu.kernelcores import KernelError, load_core, parse_kernel, run_kernel
from sim.cpu.kernelcores.x86 import REFUSED

TILED = """
product:
tileloadd tmm4, [rsi+rax]
tileloadd tmm5, [rdi+rax]
tileloadd tmm6, [rbx+rdx]
tileloadd tmm7, [rbp+rdx]
tdpbf16ps tmm0, tmm4, tmm6
tdpbf16ps tmm1, tmm4, tmm7
tdpbf16ps tmm2, tmm5, tmm6
tdpbf16ps tmm3, tmm5, tmm7
add rsi, 64
add rdi, 64
add rbx, 1024
add rbp, 1024
dec rcx
jnz product
"""
"""Two tiles of A times two of B into four accumulators, a step of 32 bf16 numbers along K."""


def result(text, core, **options):
    spec = load_core(core)
    return run_kernel(parse_kernel(text, spec.isa), spec, **options)


def cycles(text, core="skylake-avx512"):
    return result(text, core).cycles_per_iteration


def test_a_blocked_product_of_tiles_is_bound_by_the_multiplier_at_16_cycles_a_tile():
    found = result(TILED, "sapphire-rapids")
    assert found.proved
    assert found.cycles_per_iteration == 4 * 16
    assert (found.bounds.ports, found.bounds.ports_of) == (64, ("TMUL",))
    assert found.bounds.memory == 4 * 8
    assert found.bottleneck == "ports"


@pytest.mark.parametrize(("accumulators", "per_product"), [(1, 52), (2, 26), (3, 18), (4, 16)])
def test_products_of_tiles_into_too_few_accumulators_wait_52_cycles(accumulators, per_product):
    text = "\n".join(f"tdpbssd tmm{at}, tmm6, tmm7" for at in range(accumulators))
    found = result(text, "sapphire-rapids").cycles_per_iteration
    assert -(-found // accumulators) == per_product


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tileloadd tmm0, [rsi+rax]", 8),
        ("tileloaddt1 tmm0, [rsi+rax]\ntileloaddt1 tmm1, [rsi+rax]\n" * 3, 2 * 33),
        ("tilestored [rsi+rax], tmm0", 16),
    ],
)
def test_tiles_move_at_their_published_throughput(text, expected):
    assert cycles(text, "sapphire-rapids") == expected


def test_a_product_waits_45_cycles_for_its_loaded_tile():
    text = "tileloadd tmm1, [rsi+rax]\ntdpbusd tmm0, tmm1, tmm2"
    load, product = (
        [s for s in result(text, "sapphire-rapids").stamps if s.text.startswith(name)]
        for name in ("tileloadd", "tdpbusd")
    )
    first = min(s.issued for s in load if s.iteration == 0)
    assert product[0].issued >= first + 45
    assert all(b.issued - a.issued == 52 for a, b in pairwise(product))


def test_a_core_without_its_tile_unit_says_what_to_add():
    core = load_core("sapphire-rapids").model_copy(update={"tile_units": ()})
    with pytest.raises(KernelError, match="a cost needs unit 'TMUL'; add it to `ports`"):
        run_kernel(parse_kernel("tdpbssd tmm0, tmm1, tmm2", "x86_64"), core)


def test_tiles_wait_204_cycles_for_their_configuration():
    stamps = result("ldtilecfg [rsi]\ntileloadd tmm1, [rsi+rax]", "sapphire-rapids").stamps
    configured = next(s for s in stamps if s.text.startswith("ldtilecfg"))
    loads = [s for s in stamps if s.text.startswith("tileloadd") and s.iteration == 0]
    assert min(s.issued for s in loads) == configured.issued + 204


def test_a_merging_mask_waits_for_the_old_value_and_a_zeroing_one_does_not():
    assert cycles("vaddps zmm0{k1}, zmm1, zmm2") == 4
    assert cycles("vaddps zmm0{k1}{z}, zmm1, zmm2") == Fraction(1, 2)
    assert cycles("vaddps zmm0, zmm1, zmm2") == Fraction(1, 2)


def test_a_masked_load_merges_in_one_cycle():
    assert cycles("vmovups zmm0{k1}, [rsi]") == 1
    assert cycles("vmovups zmm0{k1}{z}, [rsi]") == Fraction(1, 2)


def test_a_mask_is_a_register_that_is_waited_for():
    chain = "vcmpps k1, zmm0, zmm2, 1\nvaddps zmm0{k1}{z}, zmm1, zmm2"
    compare = result("vcmpps k1, zmm0, zmm2, 1", "skylake-avx512").stamps[0]
    assert cycles(chain) == compare.complete - compare.issued + 4
    assert cycles(chain.replace("{k1}", "{k2}")) < 4


def test_an_element_that_is_broadcast_counts_as_one_element_of_memory():
    text = "vmovss [rsi], xmm1\nvaddps zmm2, zmm3, {}"
    near = parse_kernel(text.format("[rsi]{1to16}"), "x86_64").instructions[1]
    assert near.load.bytes == 4
    assert near.extensions == ("avx512f",)
    whole = parse_kernel(text.format("[rsi]"), "x86_64").instructions[1]
    assert whole.load.bytes == 64


def test_rounding_in_braces_is_read_and_costs_nothing():
    assert cycles("vaddps zmm0, zmm1, zmm2, {rn-sae}") == Fraction(1, 2)


def test_the_old_registers_need_no_avx512_and_the_new_ones_do():
    assert cycles("vaddps ymm0, ymm1, ymm2", "haswell") == 1
    with pytest.raises(KernelError, match="is of avx512f, which haswell has not; take icelake, "):
        cycles("vaddps ymm16, ymm1, ymm2", "haswell")


@pytest.mark.parametrize(
    ("text", "core", "extension"),
    [
        ("vdpbf16ps zmm0, zmm1, zmm2", "skylake-avx512", "avx512_bf16"),
        ("vpdpbusd zmm0, zmm1, zmm2", "skylake-avx512", "avx512_vnni"),
        ("vpdpbusd ymm0, ymm1, ymm2", "zen3", "avx512_vnni or avx_vnni"),
        ("tdpbf16ps tmm0, tmm1, tmm2", "zen4", "amx_bf16"),
        ("sdot v0.4s, v1.16b, v2.16b", "cortex-a57", "dotprod"),
    ],
)
def test_what_a_core_lacks_is_an_error_with_the_extension(text, core, extension):
    with pytest.raises(KernelError, match=f"line 1: .*is of {extension}, which {core} has not"):
        cycles(text, core)


def test_an_extension_that_is_added_to_a_core_is_executed():
    core = load_core("skylake-avx512")
    kernel = parse_kernel("vfpclassps k1, zmm0, 3", "x86_64")
    assert run_kernel(kernel, core).cycles_per_iteration == 1
    bare = core.model_copy(update={"extensions": ("avx512f",)})
    with pytest.raises(KernelError, match="is of avx512dq, which skylake-avx512 has not"):
        run_kernel(kernel, bare)


def test_an_extension_that_no_core_has_says_so():
    with pytest.raises(KernelError, match="of bf16, which cortex-a76 has not; no core here has it"):
        cycles("bfdot v0.4s, v1.8h, v2.8h", "cortex-a76")


@pytest.mark.parametrize("mnemonic", sorted(REFUSED))
def test_what_is_not_simulated_is_refused_with_a_reason(mnemonic):
    with pytest.raises(KernelError, match=f"kernel, line 1: '{mnemonic}' is not simulated: "):
        parse_kernel(f"{mnemonic} movsb", "x86_64")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vaddps zmm0{k0}, zmm1, zmm2", "'{k0}' masks nothing; take k1 to k7"),
        ("vaddps zmm0, zmm1{k1}, zmm2", "stands beside the destination; write zmm0{k1}"),
        ("vaddps zmm0{z}, zmm1, zmm2", "'{z}' needs a mask and a register"),
        ("vmovups [rsi]{k1}{z}, zmm2", "'{z}' needs a mask and a register"),
        ("vaddps zmm0, zmm1, zmm2{1to16}", "copies an element in memory; write"),
        ("vaddps zmm0, zmm1, [rsi], {rn-sae}", "rounding in braces is for registers only"),
        ("vaddps zmm0, zmm1, zmm2, {rn-sea}", "unknown '{rn-sea}'; did you mean 'rn-sae'"),
        ("vpcompressd [rsi], zmm0", "with an operand in memory has no published cost"),
        ("vbroadcastf128 ymm0, ymm1", "needs an operand in memory; write"),
    ],
)
def test_nonsense_in_braces_is_told(text, message):
    with pytest.raises(KernelError) as error:
        parse_kernel(text, "x86_64")
    assert message in str(error.value)
    assert "kernel, line 1" in str(error.value)


def test_a_cost_that_nobody_published_is_refused():
    with pytest.raises(KernelError, match="where icelake executes it has not been published"):
        cycles("div rbx", "icelake")


@pytest.mark.parametrize(("core", "busy"), [("zen2", 12), ("zen3", 7), ("skylake", 7)])
def test_a_division_of_integers_occupies_the_divider(core, busy):
    assert result("div rbx", core).bounds.divider == busy


def test_a_division_reads_and_writes_rax_and_rdx():
    chain = result("div rbx", "zen3")
    assert chain.cycles_per_iteration == 11
    assert chain.bottleneck == "dependencies"
    assert result("mov rax, rsi\nmov rdx, rdi\ndiv rbx", "zen3").cycles_per_iteration == 7


def test_a_gather_reads_each_element_through_a_load_port():
    found = result("vgatherdps ymm0, [rbx+ymm1*4], ymm2", "skylake")
    assert found.bounds.memory == 4  # eight elements on two ports


@pytest.mark.parametrize(
    ("text", "core", "bottleneck", "bound"),
    [
        ("vxorps ymm0, ymm0, ymm0\n" * 6 + "mov rax, [rsi]\n" * 2, "skylake", "front end", 2),
        ("vpermps ymm0, ymm1, ymm2\n" * 3, "skylake", "ports", 3),
        ("vfmadd231ps ymm0, ymm1, ymm2", "skylake", "dependencies", 4),
        ("vsqrtps ymm0, ymm1", "skylake", "divider", 6),
        ("vmovups ymm0, [rsi]\n" * 3, "skylake", "memory", Fraction(3, 2)),
        ("vmovups [rsi], ymm0\nvmovups [rdi], ymm0", "skylake", "memory", 2),
    ],
)
def test_a_kernel_bound_by_one_thing_says_which(text, core, bottleneck, bound):
    found = result(text, core)
    assert found.bottleneck == bottleneck
    assert found.cycles_per_iteration == bound
    others = {name: b for name, b in found.bounds.as_dict().items() if name != bottleneck}
    shadow = {"ports"} if bottleneck in ("divider", "memory") else set()
    assert all(b < bound for name, b in others.items() if name not in shadow)


AXPY = "l:\nvmovups ymm1, [rsi]\nvmovups [rdi], ymm1\nadd rsi, 32\nadd rdi, 32\ndec rcx\njnz l"


def test_operands_from_an_outer_cache_take_as_long_as_it_delivers_them():
    assert result(AXPY, "zen3").cycles_per_iteration < 2
    found = result(AXPY, "zen3", operands_from="l2")
    assert found.cycles_per_iteration == Fraction(2 * 32, 32)
    assert found.bottleneck == "l2 bandwidth"
    assert result(AXPY, "skylake", operands_from="l2").bounds.bandwidth == Fraction(2 * 32, 64)


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("mov rax, [rsi]\nadd rsi, 8", 8),
        ("mov rax, [rsi]\nadd rsi, 256", 64),
        ("mov rax, [rsi]\nmov rbx, [rsi+64]\nadd rsi, 128", 128),
        ("mov rax, [rsi]\nmov rbx, [rsi+8]\nadd rsi, 8", 8),
        ("mov rax, [rsi]\nmov [rsi], rbx\nadd rsi, 64", 64),
        ("mov rax, [rsi]", 0),
        ("mov rax, [rax]", 64),
    ],
)
def test_only_bytes_of_no_earlier_iteration_are_brought(text, new):
    bounds = result(text, "zen3", operands_from="l2").bounds
    assert bounds.bandwidth == Fraction(new, 32)


def test_a_level_without_a_published_bandwidth_is_told():
    with pytest.raises(KernelError, match="skylake: no bandwidth from 'l3' is known"):
        result(AXPY, "skylake", operands_from="l3")
