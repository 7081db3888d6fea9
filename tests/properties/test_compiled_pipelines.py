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


SEQUENTIAL = [name for name in pipeline_names() if load_pipeline(name).organisation != "pipelined"]


def assert_same_in_sequence(spec, text):
    program = assemble(text, text_base=spec.text_base)
    slow = run_pipeline(spec, program)
    fast = run_stream(spec, execute(program), stamps=True)
    assert fast.cycles == slow.cycles
    assert run_stream(spec, execute(program)).cycles == slow.cycles
    for flight, row in zip(slow.flights, fast.stamps.tolist(), strict=True):
        entered = {stage: begin for stage, begin, _ in flight.stamps}
        assert row == [entered.get(stage, -1) for stage in spec.stages]


@settings(max_examples=15, deadline=None)
@given(text=programs(), state=st.sampled_from(["", "IF", "EX", "MEM", "WB"]))
def test_machines_that_finish_one_before_the_next_are_compiled_too(text, state):
    for name in SEQUENTIAL:
        spec = load_pipeline(name)
        visits = {"atomic": spec.stages} | dict(spec.visits)  # these machines know none
        spec = spec.model_copy(update={"visits": visits})
        assert_same_in_sequence(spec, text)
        if spec.organisation == "multi-cycle":
            assert_same_in_sequence(spec.model_copy(update={"exit_state": state}), text)


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_store_that_powers_off_passes_all_its_stages(name):
    text = "li t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)"
    assert_same_in_sequence(load_pipeline(name), text)


def test_a_kind_of_instruction_that_a_machine_does_not_know_is_an_error():
    spec = load_pipeline("multi-cycle-split")
    visits = {kind: stages for kind, stages in spec.visits.items() if kind != "load"}
    spec = spec.model_copy(update={"visits": visits})
    with pytest.raises(SpecError, match="which stages 'load' passes; add it"):
        run_stream(spec, execute(assemble("lw t0, -4(sp)\nebreak")))
    assert run_stream(spec, execute(assemble("j 1f\nlw t0, 0(sp)\n1: ebreak"))).cycles


@pytest.mark.parametrize("name", ["five-stage-bare", "five-stage-forward-bare"])
def test_a_machine_whose_values_may_be_wrong_is_not_timed_from_right_ones(name):
    with pytest.raises(SpecError, match=f"{name}: .*use run_bare"):
        run_stream(load_pipeline(name), execute(assemble("ebreak")))
