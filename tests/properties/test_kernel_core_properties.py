"""Readable and compiled cores agree on random bodies; no run beats its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.kernelcores import inorder_compiled as inorder
from sim.cpu.kernelcores import load_core, ooo_state, parse_kernel, run_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelcores.inorder import InOrderCore, build_in_order
from sim.cpu.kernelcores.ooo import OutOfOrderCore
from sim.cpu.kernelcores.ooo_compiled import advance
from sim.cpu.kernelcores.program import build_program

ITERATIONS = 12
X86 = st.sampled_from(
    [
        "vmovups ymm{a}, [rsi+{d}]",
        "vmovups [rdi+{d}], ymm{a}",
        "vfmadd231ps ymm{a}, ymm{b}, [rdi+{d}]",
        "vaddps ymm{a}, ymm{b}, ymm{c}",
        "vdivps ymm{a}, ymm{b}, ymm{c}",
        "vroundps ymm{a}, ymm{b}, 0",
        "vxorps ymm{a}, ymm{a}, ymm{a}",
        "vmovaps ymm{a}, ymm{b}",
        "mov rax, [rax+8]",
        "add rsi, {d}",
        "add [rdi+{d}], rbx",
        "cmp rsi, rbx",
    ]
)
AVX512 = st.sampled_from(
    [
        "vmovups zmm{a}{{k1}}, [rsi+{d}]",
        "vmovups [rdi+{d}]{{k1}}, zmm{a}",
        "vcmpps k1, zmm{a}, zmm{b}, 1",
        "vfmadd231ps zmm{a}, zmm{b}, [rdi+{d}]{{1to16}}",
        "vpdpbusd zmm{a}, zmm{b}, zmm{c}",
        "vgatherdps zmm{a}{{k1}}, [rbx+zmm{b}*4]",
        "vdivps zmm{a}, zmm{b}, zmm{c}",
        "vscalefps zmm{a}{{k1}}{{z}}, zmm{b}, zmm{c}",
        "tileloadd tmm{a}, [rsi+rax]",
        "tilestored [rsi+rax], tmm{a}",
        "tdpbf16ps tmm{a}, tmm{b}, tmm7",
    ]
)
NEON = st.sampled_from(
    [
        "ldp q{a}, q{b}, [x0], #32",
        "ldr q{a}, [x1]",
        "str q{a}, [x2, #{d}]",
        "fmla v{a}.4s, v{b}.4s, v{c}.s[1]",
        "sdot v{a}.4s, v{b}.16b, v{c}.16b",
        "fadd s{a}, s{b}, s{c}",
        "subs x2, x2, #1",
        "mul x3, x3, x2",
    ]
)
REGISTERS = st.integers(0, 3)


@st.composite
def bodies(draw, lines):
    count = draw(st.integers(1, 7))
    drawn = [
        draw(lines).format(
            a=draw(REGISTERS), b=draw(REGISTERS), c=draw(REGISTERS), d=8 * draw(REGISTERS)
        )
        for _ in range(count)
    ]
    return "\n".join(drawn)


def compiled_ends(program):
    state = ooo_state.initial_state(program)
    none = np.zeros((0, 4), dtype=np.int64)
    ends = []
    for iteration in range(1, ITERATIONS + 1):
        advance(program, state, iteration, none)
        ends.append(int(state.scalars[ooo_state.NOW]) - 1)
    return ends


@pytest.mark.parametrize("core", ["haswell", "skylake", "zen3", "llvm-skylake-avx512"])
@given(text=bodies(X86), looped=st.booleans())
@settings(max_examples=12, deadline=None)
def test_out_of_order_fidelities_agree(core, text, looped):
    text = f"l:\n{text}\njnz l" if looped else f"{text}\ninc rcx"
    program = build_program(build_body(parse_kernel(text, "x86_64"), load_core(core)))
    assert OutOfOrderCore(program).run(ITERATIONS) == compiled_ends(program)


@given(text=bodies(AVX512))
@settings(max_examples=15, deadline=None)
def test_out_of_order_fidelities_agree_on_masks_and_tiles(text):
    program = build_program(build_body(parse_kernel(text, "x86_64"), load_core("sapphire-rapids")))
    assert OutOfOrderCore(program).run(ITERATIONS) == compiled_ends(program)


@pytest.mark.parametrize("core", ["cortex-a76", "llvm-cortex-a76"])
@given(text=bodies(NEON))
@settings(max_examples=12, deadline=None)
def test_out_of_order_fidelities_agree_on_neon(core, text):
    program = build_program(build_body(parse_kernel(text, "aarch64"), load_core(core)))
    assert OutOfOrderCore(program).run(ITERATIONS) == compiled_ends(program)


@given(text=bodies(NEON))
@settings(max_examples=40, deadline=None)
def test_in_order_fidelities_agree(text):
    body = build_body(parse_kernel(text, "aarch64"), load_core("cortex-a55"))
    code = build_in_order(body)
    state = inorder.initial_in_order(code)
    none = np.zeros(0, dtype=np.int64)
    ends = [int(inorder.advance_in_order(code, state, none, at)) for at in range(ITERATIONS)]
    assert InOrderCore(code).run(ITERATIONS) == ends


@pytest.mark.parametrize("core", ["haswell", "zen4"])
@given(text=bodies(X86))
@settings(max_examples=15, deadline=None)
def test_no_run_is_faster_than_its_bounds(core, text):
    spec = load_core(core)
    result = run_kernel(parse_kernel(f"l:\n{text}\njnz l", "x86_64"), spec)
    bounds = result.bounds
    least = max(bounds.ports, bounds.dependencies, bounds.divider, bounds.memory)
    # without a proof the mean over half of a long run may miss one period's end
    assert result.cycles_per_iteration >= least * (1 if result.proved else 0.99)
    assert result.instructions_per_cycle <= 2 * spec.issue_width  # two may fuse into one
