"""The compiled pipelines have the readable engine's cycles, for every instruction."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.pipelines import load_pipeline, pipeline_names, run_pipeline
from sim.cpu.pipelines.compiled import STAGES, run_stream
from sim.cpu.riscv import assemble, execute
from sim.errors import SpecError


def is_compiled(name):
    spec = load_pipeline(name)
    return spec.organisation == "pipelined" and spec.interlock and spec.width == 1


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


@settings(max_examples=15, deadline=None)
@given(text=programs(), sizes=st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()))
def test_every_instruction_enters_every_stage_in_the_same_cycle(text, sizes):
    for name in COMPILED:
        spec = load_pipeline(name)
        if spec.predictor is not None:  # small tables, so that branches meet in them
            update = {"buffer_bits": sizes[0] + 1, "address_bits": sizes[1]}
            if sizes[2]:
                update = {}
            predictor = spec.predictor.model_copy(update=update)
            spec = spec.model_copy(update={"predictor": predictor})
        program = assemble(text, text_base=spec.text_base)
        slow = run_pipeline(spec, program)
        fast = run_stream(spec, execute(program), stamps=True)
        assert fast.cycles == slow.cycles, name
        assert fast.predictions == slow.predictions
        assert fast.correct_predictions == slow.correct_predictions
        executed = [f for f in slow.flights if f.retired or f is _exit(slow)]
        assert len(executed) == len(fast.stamps)
        for flight, row in zip(executed, fast.stamps.tolist(), strict=True):
            entered = [begin for _, begin, _ in flight.stamps]
            assert entered == row[: len(entered)], name
            assert len(entered) >= STAGES - 1


def _exit(run):
    """The closing call, which some machines do not count."""
    ends = [f for f in run.flights if f.instruction.mnemonic == "ecall" and len(f.stamps) > 3]
    return ends[-1]


@pytest.mark.parametrize("name", ["five-stage-bare", "six-stage-dual", "multi-cycle-split"])
def test_what_is_not_compiled_says_so(name):
    with pytest.raises(SpecError, match=f"{name}: .*use run_pipeline"):
        run_stream(load_pipeline(name), execute(assemble("ebreak")))
