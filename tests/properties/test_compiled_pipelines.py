"""The compiled pipelines have the readable engine's cycles, for every instruction."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.pipelines import PipelineSpec, load_pipeline, pipeline_names, run_pipeline
from sim.cpu.pipelines.compiled import run_stream
from sim.cpu.riscv import assemble, execute
from sim.errors import SpecError


def is_compiled(name):
    spec = load_pipeline(name)
    return spec.organisation == "pipelined" and spec.interlock


COMPILED = [name for name in pipeline_names() if is_compiled(name)]


@st.composite
def programs(draw):
    """Nested loops with forward branches, calls, loads and stores between; they end."""
    registers = ["t0", "t1", "t2", "a0"]
    lines = []
    for place in range(draw(st.integers(1, 14))):
        a, b, c = (draw(st.sampled_from(registers)) for _ in range(3))
        forms = [
            f"add {a}, {b}, {c}",
            f"addi {a}, {b}, 3",
            f"lw {a}, {4 * (place % 4)}(s1)",
            f"sw {a}, {4 * (place % 3)}(s1)",
            f"andi {a}, {b}, 1\nbeqz {a}, f{place}\nadd {c}, {c}, {b}\nf{place}:",
            f"blt {a}, {b}, f{place}\nf{place}:",
            f"j f{place}\naddi {a}, {a}, 1\nf{place}:",
            f"jal ra, g\nadd {a}, {a}, {b}",
            f"amoadd.w {a}, {b}, (s1)",
        ]
        lines.append(draw(st.sampled_from(forms)))
    body = "\n".join(lines)
    turns = draw(st.integers(1, 12))
    call = draw(st.sampled_from(["li a7, 10\necall", "li a7, 10\nnop\nbeq a0, x0, .+4\necall"]))
    return (
        f".data\nv: .word 3, -4, 5, 6\n.text\nmain:\nla s1, v\nli s3, 2\no: li s2, {turns}\n"
        f"li t0, 1\nloop:\n{body}\naddi s2, s2, -1\nbnez s2, loop\naddi s3, s3, -1\n"
        f"bnez s3, o\nj end\ng: addi a0, a0, 7\nret\nend: {call}"
    )


def assert_same(spec, text):
    program = assemble(text, text_base=spec.text_base)
    slow = run_pipeline(spec, program)
    execution = execute(program)
    fast = run_stream(spec, execution, stamps=True)
    assert run_stream(spec, execution).cycles == fast.cycles, spec
    assert fast.cycles == slow.cycles, spec
    assert fast.predictions == slow.predictions
    assert fast.correct_predictions == slow.correct_predictions
    executed = [f for f in slow.flights if f.retired or f is _exit(slow)]
    assert len(executed) == len(fast.stamps)
    least = spec.stages.index(spec.call_stage)
    for flight, row in zip(executed, fast.stamps.tolist(), strict=True):
        entered = [begin for _, begin, _ in flight.stamps]
        assert entered == row[: len(entered)], spec
        assert len(entered) > least


@settings(max_examples=15, deadline=None)
@given(text=programs(), sizes=st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()))
def test_every_instruction_enters_every_stage_in_the_same_cycle(text, sizes):
    for name in COMPILED:
        spec = load_pipeline(name)
        if spec.predictor is not None and spec.predictor.scheme != "perfect":
            # Small tables, so that branches meet in them.
            update = {"buffer_bits": sizes[0] + 1, "address_bits": sizes[1]}
            if sizes[2]:
                update = {}
            predictor = spec.predictor.model_copy(update=update)
            spec = spec.model_copy(update={"predictor": predictor})
        assert_same(spec, text)


@st.composite
def machines(draw):
    """Any interlocked machine that a description allows: its depth, roles, paths, width."""
    width = draw(st.integers(1, 2))
    fetch = draw(st.integers(width, 4))
    stages = [f"F{number}" for number in range(fetch)] + ["R", "X"]
    behind = [f"M{number}" for number in range(draw(st.integers(1, 5)))]
    memory = draw(st.sampled_from(behind))
    resolve = draw(st.sampled_from(["X", *behind[: behind.index(memory) + 1]]))
    waits = draw(st.booleans())
    called = ["X", *behind]
    calls = called[called.index(resolve) :] if waits else behind[-1:]
    schemes = [None, {"scheme": "perfect"}]
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
            "call_stage": draw(st.sampled_from(calls)),
            "forward_from": draw(st.lists(st.sampled_from([*behind, "W"]), unique=True)),
            "interlock": True,
            "call_waits_for_writes": waits,
            "drains": draw(st.booleans()),
            "predictor": draw(st.sampled_from(schemes)),
        }
    )


@settings(max_examples=60, deadline=None)
@given(text=programs(), spec=machines())
def test_every_machine_that_can_be_described_has_the_same_cycles(text, spec):
    assert_same(spec, text)


def _exit(run):
    """The closing call, which some machines do not count."""
    reached = run.spec.stages.index(run.spec.call_stage)
    calls = [f for f in run.flights if f.instruction.mnemonic == "ecall"]
    ends = [f for f in calls if len(f.stamps) > reached]
    return ends[-1]


@pytest.mark.parametrize(
    "name", ["five-stage-bare", "five-stage-forward-bare", "multi-cycle-split"]
)
def test_what_is_not_compiled_says_so(name):
    with pytest.raises(SpecError, match=f"{name}: .*use run_pipeline"):
        run_stream(load_pipeline(name), execute(assemble("ebreak")))
