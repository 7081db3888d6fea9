"""Main memory behind a core: rows that are open, closed or refreshed, and lines in a row."""

import pytest

from sim.cpu.cores import CoreSpec, load_core, run_core
from sim.cpu.cores.main_memory import MainMemory
from sim.cpu.riscv import assemble, execute

BASE = load_core("ooo-w4-rob128-gshare").model_dump()
ROWS = {
    "row_bytes": 128,
    "banks": 2,
    "activate_cycles": 20,
    "precharge_cycles": 9,
    "refresh_every_cycles": 1000,
    "refresh_cycles": 50,
}
LATENCY, LINE = 135, 11
MISS = 1 + 1 + 10 + LATENCY + 1


def core(**rows):
    memory = {**BASE["memory"], "rows": {**ROWS, **rows} if rows else None}
    return CoreSpec.model_validate({**BASE, "memory": memory})


def memory(**rows):
    return MainMemory(core(**{**ROWS, **rows}).memory)


def test_a_closed_bank_opens_the_row_and_an_open_row_is_read_at_once():
    main = memory()
    assert main.line_back(0, 100) == 100 + 20 + LATENCY
    assert main.line_back(0, 200) == 200 + LATENCY


def test_another_row_of_the_bank_is_closed_first_and_another_bank_is_not_disturbed():
    main = memory()
    main.line_back(0, 100)
    assert main.line_back(1, 200) == 200 + 20 + LATENCY  # the other bank
    assert main.line_back(2, 300) == 300 + 9 + 20 + LATENCY  # the first one
    assert main.line_back(1, 400) == 400 + LATENCY


def test_a_row_that_is_being_opened_is_waited_for_and_lines_follow_one_another():
    main = memory()
    assert main.line_back(0, 100) == 120 + LATENCY
    assert main.line_back(0, 101) == 120 + LINE + LATENCY
    assert main.line_back(1, 102) == 120 + 2 * LINE + LATENCY  # open at 122, in its turn


@pytest.mark.parametrize(
    ("now", "open_at"),
    [(999, 999), (1000, 1050 + 20), (1049, 1050 + 20), (1051, 1051 + 20)],
)
def test_a_refresh_closes_rows_and_holds_the_banks(now, open_at):
    main = memory()
    main.line_back(0, 100)
    assert main.line_back(0, now) == open_at + LATENCY


@pytest.mark.parametrize("engine", ["readable", "compiled"])
@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        ({}, [MISS, MISS, MISS]),
        ({"banks": 2}, [MISS + 20, MISS, MISS + 20]),
        ({"banks": 1}, [MISS + 20, MISS, MISS + 9 + 20]),
        ({"banks": 2, "row_bytes": 64}, [MISS + 20, MISS + 20, MISS + 9 + 20]),
    ],
)
def test_loads_one_after_the_other_meet_open_and_closed_rows(engine, rows, taken):
    """The second line shares a row of 128 bytes with the first."""
    issued, done, _ = passage(core(**rows), engine)
    assert [end - begin for begin, end in zip(issued, done, strict=True)] == taken


@pytest.mark.parametrize("engine", ["readable", "compiled"])
@pytest.mark.parametrize("every", [100, 150, 190])
def test_a_core_meets_the_refreshes_of_its_memory(engine, every):
    spec = core(refresh_every_cycles=every)
    issued, done, rows = passage(spec, engine)
    main = MainMemory(spec.memory)
    assert done == [
        main.line_back(row, begin + 1 + 1 + 10) + 1 for row, begin in zip(rows, issued, strict=True)
    ]
    assert done[1] - issued[1] > MISS  # though its row had been opened


def passage(spec, engine):
    """When three loads issued and had their data, one after the other, and the rows of it."""
    loads = "fence\n".join(f"ld a{n}, {64 * n}(s0)\n" for n in range(3))
    text = f".data\n.p2align 9\nx: .zero 192\n.text\nla s0, x\n{loads}li a7, 93\necall\n"
    execution = execute(assemble(text, xlen=64, name="rows"))
    run = run_core(spec, execution, engine=engine)
    of_loads = run.stream.unit == 7
    return (
        run.timing.issued[of_loads].tolist(),
        run.timing.done[of_loads].tolist(),
        (execution.addresses[of_loads] // ROWS["row_bytes"]).tolist(),
    )


@pytest.mark.parametrize("key", ["row_bytes", "banks", "refresh_every_cycles"])
def test_rows_of_nothing_are_refused(key):
    with pytest.raises(ValueError, match=key):
        core(**{key: 0})
