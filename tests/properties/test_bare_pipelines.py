"""Machines without interlock: the compiled twin has the same cycles, and the same wrong values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.pipelines import PipelineSpec, load_pipeline, pipeline_names, run_pipeline
from sim.cpu.pipelines.bare import run_bare
from sim.cpu.riscv import assemble
from sim.cpu.riscv.memory import PAGE_BYTES, ExecutionError
from sim.errors import SpecError

BARE = [
    name
    for name in pipeline_names()
    if load_pipeline(name).organisation == "pipelined" and not load_pipeline(name).interlock
]
LIMIT = 400


@st.composite
def programs(draw):
    """Programs that go wrong: hazards everywhere, wild addresses, jumps to wherever."""
    xlen = draw(st.sampled_from([32, 64]))
    registers = ["t0", "t1", "t2", "a0", "x0"]
    lines = []
    for place in range(draw(st.integers(1, 16))):
        a, b, c = (draw(st.sampled_from(registers)) for _ in range(3))
        forms = [
            f"add {a}, {b}, {c}",
            f"mulh {a}, {b}, {c}",
            f"addi {a}, {b}, {draw(st.sampled_from([1, -3, 2047, -2048]))}",
            f"lui {a}, {draw(st.sampled_from([1, 0x80000, 0xFFFFF]))}",
            f"lw {a}, {draw(st.integers(-9, 9))}({b})",
            f"sw {a}, {draw(st.integers(-9, 9))}({b})",
            f"lh {a}, 3(s1)",
            f"sb {a}, 5(s1)",
            f"amoadd.w {a}, {b}, (s1)",
            f"flw f1, {draw(st.integers(-2, 5))}({b})",
            "fadd.s f2, f1, f1",
            f"fmv.x.w {a}, f1",
            f"fsw f2, 0({b})",
            f"beqz {a}, f{place}\nadd {c}, {c}, {b}\nf{place}:",
            f"blt {a}, {b}, f{place}\nf{place}:",
            f"j f{place}\naddi {a}, {a}, 1\nf{place}:",
            f"jal ra, g\nadd {a}, {a}, {b}",
            f"rdinstret {a}",
            f"jalr {a}, 4({b})",
            "li a7, 1\necall",
            "li a7, 11\nli a0, 65\nnop\nnop\nnop\necall",
        ]
        if xlen == 64:
            forms += [f"ld {a}, 1({b})", f"sd {a}, -1({b})", f"addw {a}, {b}, {c}"]
        lines.append(draw(st.sampled_from(forms)))
    body = "\n".join(lines)
    ends = [
        "li a7, 10\necall",
        "li a7, 93\nli a0, 7\nnop\nnop\nnop\necall",
        "ebreak",
        "li t0, 0x100000\nli t1, 0x5555\nnop\nnop\nnop\nsw t1, 0(t0)\nli a0, 1\nsw a0, 0(s1)",
    ]
    text = (
        f".data\nv: .word 3, -4, 5, 6\n.text\nmain:\nla s1, v\nli s2, {draw(st.integers(1, 3))}\n"
        f"li t0, 1\nli a7, 10\nloop:\n{body}\naddi s2, s2, -1\nbnez s2, loop\nj end\n"
        f"g: addi a0, a0, 7\nret\nend: {draw(st.sampled_from(ends))}\n" + "nop\n" * 4
    )
    return text, xlen


def outcome(run):
    try:
        return run(), ""
    except ExecutionError as error:
        return None, str(error)


def assert_same(spec, text, xlen, limit=LIMIT):
    program = assemble(text, xlen=xlen, text_base=spec.text_base)
    slow, slow_error = outcome(lambda: run_pipeline(spec, program, limit=limit))
    fast, fast_error = outcome(lambda: run_bare(spec, program, limit=limit, stamps=True))
    assert slow_error == fast_error
    if slow is None or fast is None:
        return
    for name in ("cycles", "retired", "predictions", "correct_predictions"):
        assert getattr(fast, name) == getattr(slow, name), name
    assert fast.stack.busy == slow.stack.busy
    assert {c: n for c, n in fast.stack.stalls.items() if n} == {
        c: n for c, n in slow.stack.stalls.items() if n
    }
    assert fast.machine.registers == slow.machine.registers
    assert fast.machine.output == slow.machine.output
    assert fast.machine.exit_code == slow.machine.exit_code
    assert fast.machine.retired == slow.machine.retired
    for page in {*slow.machine.memory._pages, *fast.machine.memory._pages}:
        place = page * PAGE_BYTES, PAGE_BYTES
        assert fast.machine.memory.dump(*place) == slow.machine.memory.dump(*place)
    assert fast.was_retired.tolist() == [flight.retired for flight in slow.flights]
    for flight, index, stamps in zip(slow.flights, fast.indices, fast.stamps.tolist(), strict=True):
        assert flight.instruction is program.instructions[index]
        stays = [
            (stage, begin, end)
            for stage, (begin, end) in zip(spec.stages, stamps, strict=True)
            if begin >= 0
        ]
        assert flight.stamps == stays


@settings(max_examples=60, deadline=None)
@given(drawn=programs())
def test_the_bare_machines_compute_the_same_wrong_values_in_the_same_cycles(drawn):
    for name in BARE:
        assert_same(load_pipeline(name), *drawn)


@st.composite
def machines(draw):
    """Any machine without interlock that a description allows."""
    width = draw(st.integers(1, 2))
    stages = [f"F{number}" for number in range(draw(st.integers(width, 4)))] + ["R", "X"]
    behind = [f"M{number}" for number in range(draw(st.integers(1, 5)))]
    memory = draw(st.sampled_from(behind))
    resolve = draw(st.sampled_from(["X", *behind[: behind.index(memory) + 1]]))
    called = ["X", *behind]
    schemes = [None]
    schemes += [
        {"scheme": scheme, "buffer_bits": draw(st.integers(0, 3)), "address_bits": 2}
        for scheme in ("not-taken", "taken", "backward-taken", "counter")
    ]
    return PipelineSpec.model_validate(
        {
            "name": "drawn",
            "title": "drawn",
            "description": "drawn",
            "sources": {},
            "organisation": "pipelined",
            "stages": [*stages, *behind, "W"],
            "width": width,
            "read_stage": "R",
            "execute_stage": "X",
            "memory_stage": memory,
            "resolve_stage": resolve,
            "call_stage": draw(st.sampled_from(called[called.index(resolve) :])),
            "forward_from": draw(st.lists(st.sampled_from([*behind, "W"]), unique=True)),
            "interlock": False,
            "call_waits_for_writes": draw(st.booleans()),
            "drains": draw(st.booleans()),
            "counts_exit": draw(st.booleans()),
            "predictor": draw(st.sampled_from(schemes)),
        }
    )


@settings(max_examples=250, deadline=None)
@given(drawn=programs(), spec=machines())
def test_every_bare_machine_that_can_be_described_goes_wrong_in_the_same_way(drawn, spec):
    assert_same(spec, *drawn)


def test_more_pages_and_stamps_than_there_was_room_for_at_first_are_kept():
    text = (
        "li s2, 700\nli s1, 0x20000\nnop\nnop\nnop\nloop: sw s2, 2046(s1)\nlui t0, 1\n"
        "addi s2, s2, -1\nnop\nadd s1, s1, t0\nnop\nbnez s2, loop\nnop\nnop\nnop\nebreak"
    )
    assert_same(load_pipeline("five-stage-bare"), text, 32, limit=100_000)


@pytest.mark.parametrize("name", ["five-stage-stall", "multi-cycle-split"])
def test_a_machine_with_an_interlock_is_none_of_these(name):
    with pytest.raises(SpecError, match=f"{name}: .*use run_stream"):
        run_bare(load_pipeline(name), assemble("ebreak"))


def test_vector_instructions_are_refused_with_their_line():
    with pytest.raises(SpecError, match=r"line 2: .*no vector unit"):
        run_bare(load_pipeline("five-stage-bare"), assemble("nop\nvsetvli t0, a0, e32, m1, ta, ma"))
