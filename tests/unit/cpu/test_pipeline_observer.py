"""An observer sees every machine at the end of every cycle."""

import pytest

from sim.cpu.pipelines import load_pipeline, pipeline_names, run_pipeline
from sim.cpu.riscv import assemble
from sim.stalls import StallCause

A0 = 10
SAFE = [name for name in pipeline_names() if not name.endswith("-bare")]
TEXT = "li a0, 5\nsw a0, -4(sp)\nlw a1, -4(sp)\nli a7, 10\nnop\nnop\nnop\nebreak"


def watched(name, text, look):
    """What an observer finds in each cycle, and the run."""
    spec, found = load_pipeline(name), []
    result = run_pipeline(
        spec,
        assemble(text, text_base=spec.text_base),
        observe=lambda cycle, view: found.append((cycle, look(view))),
    )
    return found, result


@pytest.mark.parametrize("name", pipeline_names())
def test_every_cycle_is_seen_once_and_watching_changes_nothing(name):
    found, result = watched(name, TEXT, lambda view: None)
    assert [cycle for cycle, _ in found] == list(range(result.cycles))
    spec = load_pipeline(name)
    assert run_pipeline(spec, assemble(TEXT, text_base=spec.text_base)).cycles == result.cycles


@pytest.mark.parametrize("name", SAFE)
def test_a_register_changes_in_the_cycle_of_write_back_and_not_before(name):
    found, result = watched(name, TEXT, lambda view: view.registers[A0])
    changes = next(cycle for cycle, value in found if value == 5)
    _, _, last = result.flights[0].stamps[-1]
    assert changes == last
    assert all(value == 0 for cycle, value in found if cycle < last)


@pytest.mark.parametrize(
    ("name", "stage"),
    [("five-stage-forward", "MEM"), ("multi-cycle-split", "MEM"), ("r4000-eight-stage", "DS")],
)
def test_memory_changes_in_the_cycle_of_the_memory_stage_and_not_before(name, stage):
    address = 0x7FFF_FFF0 - 4
    found, result = watched(name, TEXT, lambda view: view.memory.read(address, 4))
    stored = next(first for at, first, _ in result.flights[1].stamps if at == stage)
    assert [value for cycle, value in found[stored - 1 : stored + 1]] == [0, 5]


@pytest.mark.parametrize("name", pipeline_names())
def test_what_stands_in_a_stage_is_what_its_stamps_say(name):
    found, result = watched(
        name, TEXT, lambda view: {s: [f.number for f in fs] for s, fs in view.stages.items()}
    )
    for flight in result.flights:
        squashed_in = flight.stamps[-1][2] if not flight.retired and flight.stamps else -1
        for stage, first, last in flight.stamps:
            for cycle in range(first, last + 1):
                if cycle < len(found) and cycle != squashed_in:
                    assert flight.number in found[cycle][1][stage]


def test_a_bubble_says_its_cause():
    text = "lw t0, -4(sp)\naddi t0, t0, 1\nj far\nnop\nnop\nfar: li a7, 10\nebreak"
    found, _ = watched("five-stage-forward", text, lambda view: view.bubbles)
    causes = [bubbles for _, bubbles in found]
    assert causes[0] == dict.fromkeys(["ID", "EX", "MEM", "WB"], StallCause.FILL_DRAIN)
    stalled = [(3, "EX"), (4, "MEM"), (5, "WB")]
    assert [causes[cycle].get(stage) for cycle, stage in stalled] == [
        StallCause.DATA_DEPENDENCY
    ] * 3
    assert causes[2].get("EX") is None
    squashed = [(5, "IF"), (5, "ID"), (6, "ID"), (6, "EX"), (7, "EX"), (7, "MEM")]
    assert {causes[cycle].get(stage) for cycle, stage in squashed} == {StallCause.CONTROL}
    assert causes[6].get("IF") is None
