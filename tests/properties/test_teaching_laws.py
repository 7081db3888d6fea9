"""Laws of all teaching pipelines, on random programs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.pipelines import load_pipeline, pipeline_names, run_pipeline
from sim.cpu.pipelines.compiled import run_stream
from sim.cpu.riscv import assemble, execute

FORWARDING = {
    "five-stage-forward": "five-stage-stall",
    "late-branch-forward": "late-branch-stall",
    "r4000-eight-stage": "r4000-eight-stage-stall",
}
PREDICTING = [name for name in pipeline_names() if name.startswith("predict-")]
REGISTERS = ["t0", "t1", "t2", "a0"]


@st.composite
def texts(draw):
    """A counted loop of random work with forward branches; gaps let bare machines count turns."""
    lines = []
    for place in range(draw(st.integers(1, 12))):
        a, b, c = (draw(st.sampled_from(REGISTERS)) for _ in range(3))
        forms = [
            f"add {a}, {b}, {c}",
            f"mul {a}, {b}, {c}",
            f"lw {a}, {-4 * (place % 4) - 4}(sp)",
            f"sw {a}, {-4 * (place % 3) - 4}(sp)",
            f"andi {a}, {b}, 1\nbeqz {a}, f{place}\nadd {c}, {c}, {b}\nf{place}:",
            f"j f{place}\naddi {a}, {a}, 1\nf{place}:",
        ]
        lines.append(draw(st.sampled_from(forms)))
    body, turns, gap = "\n".join(lines), draw(st.integers(1, 9)), "nop\n" * 3
    return (
        f"li s2, {turns}\nli t0, 1\n{gap}loop:\n{body}\naddi s2, s2, -1\n{gap}bnez s2, loop\n"
        f"li a7, 10\n{gap}ebreak"
    )


def run(name, text):
    spec = load_pipeline(name)
    return run_pipeline(spec, assemble(text, text_base=spec.text_base))


@pytest.mark.parametrize("name", pipeline_names())
@settings(max_examples=6, deadline=None)
@given(text=texts())
def test_the_stack_sums_to_all_cycles_and_no_more_retires_than_the_width_allows(name, text):
    result = run(name, text)
    assert result.stack.total == result.cycles
    assert result.cpi == pytest.approx(result.stack.total / result.retired)
    assert result.retired <= result.spec.width * result.cycles
    assert result.stack.busy * result.spec.width >= result.retired
    for flight in result.flights:  # every stay follows the one before
        ends = [first - 1 for _, first, _ in flight.stamps[1:]]
        assert ends == [last for _, _, last in flight.stamps[:-1]]


@pytest.mark.parametrize("name", FORWARDING)
@settings(max_examples=15, deadline=None)
@given(text=texts())
def test_forwarding_is_never_slower_than_stalling(name, text):
    forwards, stalls = run(name, text), run(FORWARDING[name], text)
    assert forwards.cycles <= stalls.cycles
    assert forwards.stall_cycles <= stalls.stall_cycles


@settings(max_examples=15, deadline=None)
@given(text=texts())
def test_a_perfect_predictor_is_never_wrong_and_never_slower(text):
    perfect = run("predict-perfect", text)
    assert perfect.correct_predictions == perfect.predictions
    for name in PREDICTING:
        other = run(name, text)
        assert other.predictions == perfect.predictions
        wrong = other.predictions - other.correct_predictions
        assert other.cycles >= perfect.cycles
        assert (other.cycles == perfect.cycles) == (wrong == 0)
    assert run("late-branch-forward", text).cycles >= perfect.cycles


@settings(max_examples=15, deadline=None)
@given(text=texts(), paths=st.sets(st.sampled_from(["DF", "DS", "TC", "WB"])))
def test_more_forwarding_paths_are_never_slower(text, paths):
    full = load_pipeline("r4000-eight-stage")
    execution = execute(assemble(text))
    some = full.model_copy(update={"forward_from": tuple(paths)})
    none = full.model_copy(update={"forward_from": ()})
    cycles = [run_stream(spec, execution).cycles for spec in (full, some, none)]
    assert cycles == sorted(cycles)
