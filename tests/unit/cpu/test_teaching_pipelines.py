"""Teaching pipelines: values that flow, cycles that are lost, pictures of both."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.logs import kanata, o3_pipe_view
from sim.cpu.pipelines import load_pipeline, pipeline_names, run_pipeline
from sim.cpu.pipelines.diagram import cells, text_diagram
from sim.cpu.riscv import ExecutionError, assemble, execute
from sim.errors import SpecError
from sim.stalls import StallCause

END = "\nli a7, 10\nebreak"
CORRECT = [name for name in pipeline_names() if not name.endswith("-bare")]
PREDICTING = [name for name in pipeline_names() if name.startswith("predict-")]


def run(name, text):
    return run_pipeline(load_pipeline(name), assemble(text + END))


def a0(name, text):
    return run(name, text).machine.registers[10]


# Values


def test_a_reader_one_two_or_three_behind_gets_the_old_value_on_the_bare_pipeline():
    text = "li t0, 5\n{}addi a0, t0, 1\nnop\nnop\nnop"
    found = [a0("five-stage-bare", text.format("nop\n" * gap)) for gap in range(4)]
    assert found == [1, 1, 6, 6]  # WB writes before ID reads, three behind


def test_forwarding_without_a_hazard_unit_gives_a_loads_next_reader_its_address():
    text = "li t0, 77\nsw t0, -4(sp)\nlw a0, -4(sp)\n{}addi a0, a0, 1"
    assert a0("five-stage-forward-bare", text.format("")) == 0x7FFFFFED
    assert a0("five-stage-forward-bare", text.format("nop\n")) == 78
    assert a0("five-stage-forward", text.format("")) == 78


@pytest.mark.parametrize("name", ["five-stage-stall", "late-branch-stall"])
@pytest.mark.parametrize(("gap", "stalls"), [(0, 2), (1, 1), (2, 0)])
def test_without_forwarding_a_reader_waits_for_the_register_file(name, gap, stalls):
    text = "li t0, 5\n" + "nop\n" * gap + "addi a0, t0, 1"
    assert run(name, text).stall_cycles == stalls


def test_a_wild_load_is_named_with_its_line():
    with pytest.raises(ExecutionError, match="line 1: `lw a0, 0\\(zero\\)`: wild access"):
        run("five-stage-forward", "lw a0, 0(zero)")


def test_an_endless_loop_ends_with_an_error():
    with pytest.raises(ExecutionError, match="line 1: `l: j l`: still running after 50 cycles"):
        run_pipeline(load_pipeline("five-stage-forward"), assemble("l: j l"), limit=50)


def test_a_program_without_an_exit_call_runs_off_its_end():
    with pytest.raises(ExecutionError, match="end the program with an exit call"):
        run_pipeline(load_pipeline("five-stage-forward"), assemble("nop"))


@st.composite
def programs(draw):
    """A counted loop of random work, branches in it forward only, so that it ends."""
    registers = ["t0", "t1", "t2", "a0"]
    lines = []
    for place in range(draw(st.integers(1, 12))):
        a, b, c = (draw(st.sampled_from(registers)) for _ in range(3))
        kind = draw(st.sampled_from(["add", "mul", "addi", "lw", "sw", "beq", "jal", "call"]))
        lines.append(
            {
                "add": f"add {a}, {b}, {c}",
                "mul": f"mul {a}, {b}, {c}",
                "addi": f"addi {a}, {b}, 3",
                "lw": f"lw {a}, {4 * (place % 4)}(s1)",
                "sw": f"sw {a}, {4 * (place % 3)}(s1)",
                "beq": f"beq {a}, {b}, f{place}\nadd {c}, {c}, {b}\nf{place}:",
                "jal": f"j f{place}\naddi {a}, {a}, 1\nf{place}:",
                "call": f"jal ra, g\nadd {a}, {a}, {b}",
            }[kind]
        )
    body = "\n".join(lines)
    return (
        f".data\nv: .word 3, -4, 5, 6\n.text\nmain:\nla s1, v\nli s2, 4\nli t0, 1\nloop:\n{body}\n"
        "addi s2, s2, -1\nbnez s2, loop\nj end\ng: addi a0, a0, 7\nret\nend: nop"
    )


@settings(max_examples=25, deadline=None)
@given(text=programs())
def test_every_safe_machine_computes_what_the_functional_one_does(text):
    expected = execute(assemble(text + END))
    cycles = {}
    for name in CORRECT:
        got = run(name, text)
        assert got.machine.registers[:32] == list(expected.registers[:32]), name
        assert got.machine.memory.dump(0x1000_0000, 16) == expected.memory.dump(0x1000_0000, 16)
        assert got.retired == expected.retired - (not got.spec.counts_exit), name
        assert got.stack.total == got.cycles
        assert got.retired <= got.spec.width * got.cycles
        cycles[name] = got.cycles
    assert cycles["five-stage-forward"] <= cycles["five-stage-stall"] < cycles["multi-cycle-split"]
    assert cycles["late-branch-forward"] <= cycles["late-branch-stall"]
    assert cycles["predict-not-taken"] <= cycles["late-branch-forward"]


# Cycles


@pytest.mark.parametrize(
    ("name", "lost"), [("five-stage-forward", 2), ("late-branch-forward", 3), ("six-stage-dual", 3)]
)
def test_a_taken_jump_costs_the_way_to_where_it_is_resolved(name, lost):
    taken = run(name, "nop\nj l\nnop\nnop\nl: nop\nnop")
    control = taken.stack.stalls[StallCause.CONTROL]
    assert control == lost


@pytest.mark.parametrize("name", PREDICTING)
def test_three_cycles_are_lost_per_misprediction_and_none_else(name):
    result = run(name, "li t0, 20\nl: addi t0, t0, -1\nbnez t0, l")
    wrong = result.predictions - result.correct_predictions
    assert result.cycles == result.retired + 4 + 3 * wrong
    assert result.predictions == 20


def test_two_bits_forgive_one_exception_and_one_bit_pays_twice():
    inner = "li t1, {}\no: li t0, 4\nl: addi t0, t0, -1\nbnez t0, l\naddi t1, t1, -1\nbnez t1, o"

    def extra(name):
        """Mispredictions that one more turn of the outer loop costs."""
        few, many = (run(name, inner.format(times)) for times in (5, 6))
        return (many.predictions - many.correct_predictions) - (
            few.predictions - few.correct_predictions
        )

    assert extra("predict-1-bit") == 2
    assert extra("predict-2-bit") == 1


def test_history_learns_an_alternation_that_two_bits_cannot():
    gap = "nop\n" * 4  # what is resolved in MEM, a fetch sooner does not know yet
    text = (
        f"li t0, 100\nl: andi t1, t0, 1\n{gap}beqz t1, e\nnop\ne: addi t0, t0, -1\n{gap}bnez t0, l"
    )
    wrong = {}
    for name in ("predict-2-bit", "predict-2-bit-history", "predict-gshare"):
        result = run(name, text)
        wrong[name] = result.predictions - result.correct_predictions
    assert wrong["predict-2-bit"] >= 40
    assert wrong["predict-2-bit-history"] < 10
    assert wrong["predict-gshare"] < 40


@pytest.mark.parametrize(
    ("pair", "together"),
    [
        ("add t0, t1, t2\nadd t3, t4, t5", True),
        ("add t0, t1, t2\nadd t3, t0, t5", False),  # reads what is new
        ("add t0, t1, t2\nadd t1, t4, t5", False),  # overwrites what is read
        ("add t0, t1, t2\nadd t0, t4, t5", True),
        ("lw t0, -4(sp)\nlw t1, -8(sp)", False),  # one port
        ("lw t0, -4(sp)\nadd t1, t2, t3", True),
        ("beq t0, t0, l\nl: add t1, t2, t3", False),
    ],
)
def test_what_may_start_together_on_the_dual_issue_machine(pair, together):
    flights = run("six-stage-dual", pair).flights[:2]
    first, second = ({stage: begin for stage, begin, _ in f.stamps} for f in flights)
    assert (first["II"] == second.get("II")) == together


def test_the_later_of_two_writes_that_start_together_stays():
    assert a0("six-stage-dual", "li a0, 1\nli a0, 2\nnop\nnop") == 2


# To look into


def test_the_diagram_is_the_textbooks():
    text = "lw t0, -4(sp)\naddi a0, t0, 1\nj l\nli a0, 9\nl: li a1, 1"
    result = run("five-stage-forward", text)
    drawn = text_diagram(result, count=5)
    lines = [line.split() for line in drawn.splitlines()]
    assert lines[1][-5:] == ["IF", "ID", "EX", "MEM", "WB"]
    assert lines[2][-6:] == ["IF", "ID", "-", "EX", "MEM", "WB"]
    assert lines[3][-6:] == ["IF", "-", "ID", "EX", "MEM", "WB"]
    assert lines[4][-3:] == ["IF", "ID", "x"]
    assert lines[5][-2:] == ["IF", "x"]
    starts = [line.index(" IF") for line in drawn.splitlines()[1:]]
    assert starts == sorted(starts)
    assert text_diagram(result, first=10_000) == ""


def test_cells_overlay_all_turns_of_a_loop():
    rows = cells(run("five-stage-forward", "li t0, 2\nl: addi t0, t0, -1\nbnez t0, l"))
    assert [cycle for cycle, text in rows[1].items() if text == "IF"] == [1, 5]


def test_kanata_ends_every_instruction_once_in_order_of_time():
    result = run("five-stage-forward", "j l\nnop\nl: nop")
    lines = kanata(result.stamped()).splitlines()
    assert lines[:4] == ["Kanata\t0004", "C=\t0", "I\t0\t0\t0", "L\t0\t0\t00000000: jal x0 8 <l>"]
    ways = [line.split("\t")[3] for line in lines if line.startswith("R")]
    shown = [flight for flight in result.flights if flight.stamps]
    assert ways.count("0") == result.retired
    assert len(ways) == len(shown)
    ended = sum(int(line.split("\t")[1]) for line in lines if line.startswith("C\t"))
    assert ended == result.cycles


def test_o3_pipe_view_has_seven_lines_an_instruction_in_order_of_fetch():
    result = run("six-stage-dual", "nop\nnop")
    lines = o3_pipe_view(result.stamped(), result.o3_stages()).splitlines()
    assert lines[0] == "O3PipeView:fetch:1000:0x00000000:0:1:addi x0 x0 0"
    assert lines[1:7] == [
        "O3PipeView:decode:2000",
        "O3PipeView:rename:2000",
        "O3PipeView:dispatch:3000",
        "O3PipeView:issue:4000",
        "O3PipeView:complete:5000",
        "O3PipeView:retire:6000:store:0",
    ]
    assert len(lines) % 7 == 0
    with pytest.raises(SpecError, match="single-cycle: O3PipeView needs a pipeline"):
        run("single-cycle", "nop").o3_stages()


@pytest.mark.parametrize("name", pipeline_names())
def test_every_machine_says_what_it_is_and_runs(name):
    spec = load_pipeline(name)
    assert spec.name == name
    assert spec.description
    assert spec.sources
    assert run(name, "nop\nnop\nnop\nnop").cycles > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width: 2", "widht: 2", "key 'widht': unknown; did you mean 'width'?"),
        ("read_stage: II", "read_stage: ID", "registers are read in the stage before it executes"),
        ("read_stage: II", "read_stage: IX", "read_stage: 'IX' is not among IF, ID, II"),
        ("stages: [IF, ID, II,", "stages: [IF, II,", "width 2 needs a stage between fetch and"),
        ("stages: [IF, ID, II,", "stages: [IF, IF, II,", "stage 'IF' stands twice"),
        (
            "[MEM, WB]\n",
            "[MEN, WB]\n",
            "forward_from: 'MEN' is not among IF, ID, II, EX, MEM, WB; did",
        ),
        ("[MEM, WB]\n", "[MEM, MEM]\n", "stage 'MEM' stands twice"),
        ("[MEM, WB]\n", "[EX, MEM]\n", "forward_from names stages after execute_stage"),
        (
            "width: 2",
            "width: 2\nmemory_stage: WB",
            "memory_stage stands after execute_stage and before",
        ),
        ("width: 2", "width: 2\nresolve_stage: II", "resolve_stage is not before execute_stage"),
        ("width: 2", "width: 2\nresolve_stage: MEM", "must neither store nor call"),
        ("width: 2", "width: 2\ncall_stage: WB", "call_stage stands before the last stage"),
        ("writes: true", "writes: false", "set call_waits_for_writes, or call_stage to MEM"),
        (
            "interlock: true",
            "interlock: false\npredictor: {scheme: perfect}",
            "a perfect predictor needs right values; set interlock",
        ),
        (
            "width: 2",
            "predictor: {scheme: perfect, buffer_bits: 3}",
            "a perfect predictor has no tables; leave out buffer_bits",
        ),
        (
            "width: 2",
            "predictor: {scheme: taken, buffer_bits: 3}",
            "a predictor that is not perfect has tables; give address_bits",
        ),
    ],
)
def test_a_wrong_description_says_what_to_mend(tmp_path, old, new, message):
    folder = load_pipeline.__globals__["FOLDER"]
    path = tmp_path / "m.yaml"
    path.write_text((folder / "six-stage-dual.yaml").read_text().replace(old, new))
    with pytest.raises(SpecError) as error:
        load_pipeline(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_an_unknown_machine_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'five-stage-stall'"):
        load_pipeline("five-stage-stal")
