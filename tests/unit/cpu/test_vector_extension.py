"""The vector extension's text, configuration and refusals, and the vector unit's exact cycles."""

import pytest

from sim.cpu.cores import core_names, load_core, make_stream
from sim.cpu.inorder import PipelineRules
from sim.cpu.riscv import AssemblyError, ExecutionError, Machine, assemble, execute
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.registers import NUMBERS
from sim.cpu.riscv.vector.unit import VectorUnit, VectorUnitSpec, Work
from sim.errors import SpecError
from sim.memory.cache.spec import hierarchy

EXIT = "\nli a7, 10\necall"


def ran(text, xlen=64, **options):
    return execute(assemble(text + EXIT, xlen=xlen), **options)


def a0(text, **options):
    return ran(text, **options).registers[NUMBERS["a0"]]


@pytest.mark.parametrize(
    ("line", "elements"),
    [
        ("vsetvli a0, a1, e32, m1, ta, ma", 4),
        ("vsetvli a0, a1, e8, m8, tu, mu", 100),
        ("vsetvli a0, x0, e8, m8, tu, mu", 128),
        ("vsetvli a0, a1, e16, mf4, ta, mu", 2),
        ("vsetvli a0, a1, e64", 2),
        ("vsetvli a0, a1, 0xd0", 4),
        ("vsetivli a0, 3, e32, m1, ta, ma", 3),
        ("vsetivli a0, 31, e32, m2, ta, ma", 8),
        ("li a2, 0xd1\nvsetvl a0, a1, a2", 8),
        ("vsetvli a0, a1, e64, mf2, ta, ma", 0),  # no unit of 64 bits holds it
    ],
)
def test_the_length_is_the_wanted_one_or_what_a_group_holds(line, elements):
    assert a0(f"li a1, 100\n{line}") == elements
    assert a0(f"li a1, 100\n{line}\ncsrr a0, vl") == elements


@pytest.mark.parametrize(("vlen", "most"), [(32, 1), (64, 2), (128, 4), (512, 16), (1024, 32)])
def test_a_longer_register_holds_more_elements(vlen, most):
    assert a0("vsetvli a0, x0, e32, m1, ta, ma", vlen_bits=vlen) == most
    assert a0("csrr a0, vlenb", vlen_bits=vlen) == vlen // 8


def test_vtype_keeps_width_grouping_and_policies():
    assert a0("vsetivli x0, 1, e32, m2, ta, ma\ncsrr a0, vtype") == 0b1101_0001
    assert a0("vsetivli x0, 1, e8, mf2, tu, mu\ncsrr a0, vtype") == 0b0000_0111
    assert a0("csrr a0, vtype") == 1 << 63
    assert a0("csrr a0, vtype", xlen=32) == 1 << 31


def test_a_length_that_is_to_stay_stays_only_under_as_many_elements():
    text = "vsetivli x0, 3, e32, m1, ta, ma\nvsetvli x0, x0, e16, mf2, ta, ma\ncsrr a0, vl"
    assert a0(text) == 3
    with pytest.raises(ExecutionError, match=r"line 2.*vl is to stay, but e16, m1"):
        ran("vsetivli x0, 3, e32, m1, ta, ma\nvsetvli x0, x0, e16, m1, ta, ma")


@pytest.mark.parametrize(
    ("vlen", "setup", "line", "message"),
    [
        (128, "nop", "vadd.vv v1, v2, v3", "vtype is invalid"),
        (32, "vsetivli x0, 1, e64, m1, ta, ma", "vid.v v1", "vtype is invalid"),
        (128, "e32, m2", "vadd.vv v1, v2, v4", "v1 begins no group of 2 registers"),
        (128, "e32, m8", "vadd.vv v8, v16, v28", "v28 begins no group of 8"),
        (128, "e64, m1", "vwadd.vv v2, v4, v5", "elements of 128 bits"),
        (128, "e32, m8", "vwadd.vv v0, v8, v16", "a group of 16 registers"),
        (128, "e8, m1", "vfadd.vv v1, v2, v3", "floating point of 8 bits"),
        (128, "e16, m1", "vfwsub.wf v2, v4, fa0", "a floating-point scalar under e16, m1"),
        (128, "e32, m1", "vadd.vv v0, v2, v3, v0.t", "v0 is written and is the mask"),
        (128, "e32, m1", "vmerge.vvm v0, v2, v3, v0", "v0 is written and is the mask"),
        (128, "e32, m1", "vadd.vv v1, v0, v3, v0.t", "v0 is read with elements of"),
        (128, "e32, m1", "vrgather.vv v2, v2, v3", "v2 overlaps the source v2"),
        (128, "e32, m1", "vslideup.vi v2, v2, 1", "v2 overlaps the source v2"),
        (128, "e32, m1", "vwadd.vv v2, v2, v4", "not as its highest part"),
        (128, "e32, m1", "vnsrl.wi v3, v2, 1", "not in its lowest part"),
        (128, "e8, m8", "vsext.vf8 v8, v2", "elements of less than 8 bits"),
        (128, "e8, mf8", "vsext.vf8 v1, v2", "elements of less than 8 bits"),
    ],
)
def test_what_an_encoding_may_not_do_is_an_error_that_names_the_line(vlen, setup, line, message):
    setup = f"vsetivli x0, 1, {setup}, ta, ma" if setup.startswith("e") else setup
    built = assemble(f"{setup}\n{line}{EXIT}", xlen=64)
    with pytest.raises(ExecutionError, match=rf"line \d.*{message}") as readable:
        execute(built, vlen_bits=vlen)
    with pytest.raises(ExecutionError) as compiled:
        CompiledMachine(built, vlen_bits=vlen).run()
    assert str(compiled.value) == str(readable.value)


@pytest.mark.parametrize(
    "line",
    [
        "vwadd.vv v2, v4, v3",
        "vnsrl.wi v2, v2, 1",
        "vmslt.vv v0, v2, v3, v0.t",
        "vadd.vv v2, v2, v2",
    ],
)
def test_overlaps_that_the_manual_allows_are_executed(line):
    ran(f"vsetivli x0, 2, e32, m1, ta, ma\n{line}")


@pytest.mark.parametrize(
    ("pseudo", "plain"),
    [
        ("vneg.v v1, v2", "vrsub.vx v1, v2, x0"),
        ("vneg.v v1, v2, v0.t", "vrsub.vx v1, v2, x0, v0.t"),
        ("vnot.v v1, v2", "vxor.vi v1, v2, -1"),
        ("vfneg.v v1, v2", "vfsgnjn.vv v1, v2, v2"),
        ("vfabs.v v1, v2, v0.t", "vfsgnjx.vv v1, v2, v2, v0.t"),
        ("vmmv.m v1, v2", "vmand.mm v1, v2, v2"),
        ("vmclr.m v1", "vmxor.mm v1, v1, v1"),
        ("vmset.m v1", "vmxnor.mm v1, v1, v1"),
        ("vmnot.m v1, v2", "vmnand.mm v1, v2, v2"),
        ("vmfgt.vv v1, v2, v3", "vmflt.vv v1, v3, v2"),
        ("vmsge.vi v1, v2, 5", "vmsgt.vi v1, v2, 4"),
    ],
)
def test_a_pseudo_instruction_is_the_instruction_that_stands_for_it(pseudo, plain):
    (written,) = assemble(pseudo).instructions
    (meant,) = assemble(plain).instructions
    assert (written.mnemonic, written.vector) == (meant.mnemonic, meant.vector)
    assert (written.sources, written.immediate) == (meant.sources, meant.immediate)


def test_an_instruction_is_written_with_its_vector_registers():
    (made,) = assemble("vfmacc.vf v8, fa0, v16, v0.t").instructions
    assert str(made) == "vfmacc.vf f10 v8 v16 v0.t"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vfmacs.vv v1, v2, v3", "unknown instruction 'vfmacs.vv'; did you mean 'vfm"),
        ("vadd.vv v1, v2", "'vadd.vv' takes 3 operands, not 2"),
        ("vadd.vv v1, v2, v32", "needs a vector register v0 to v31, not 'v32'"),
        ("vadd.vv v1, v2, a0", "needs a vector register v0 to v31, not 'a0'"),
        ("vadd.vv v1, v2, v3, v1.t", "takes v0.t as its mask"),
        ("vadd.vx v1, v2, fa0", "needs an integer register, not 'fa0'"),
        ("vadd.vi v1, v2, 16", "takes a number from -16 to 15, not 16"),
        ("vsll.vi v1, v2, -1", "takes a number from 0 to 31, not -1"),
        ("vmerge.vvm v1, v2, v3, v4", "takes v0 as its mask, not 'v4'"),
        ("vle32.v v1, 4(a0)", "a vector access has no offset; write \\(a0\\)"),
        ("vsetvli a0, a1, e33, m1, ta, ma", "has no 'e33' in its vtype.*e32"),
        ("vsetvli a0, a1, m1, e32", "takes a vtype such as"),
        ("vsetvli a0, a1, 4096", "takes a number from 0 to 2047, not 4096"),
        ("vsetivli a0, 32, e8", "takes a number from 0 to 31, not 32"),
    ],
)
def test_a_wrong_line_is_named_with_its_remedy(line, message):
    with pytest.raises(AssemblyError, match=f"assembly, line 1: .*{message}"):
        assemble(line)


@pytest.mark.parametrize("vlen", [0, 16, 96, 2048, -128])
def test_a_register_length_that_there_is_not_is_refused(vlen):
    built = assemble("nop")
    for machine in (Machine, CompiledMachine):
        with pytest.raises(SpecError, match=rf"vlen_bits: {vlen} is no length"):
            machine(built, vlen_bits=vlen)


@pytest.mark.parametrize("line", ["vle32.v v1, (a0)", "vluxei32.v v1, (a0), v2"])
@pytest.mark.parametrize(("address", "word"), [(0x1000_0002, "misaligned"), (0x40, "wild")])
def test_a_faulty_element_is_named_alike_by_both_machines(line, address, word):
    text = f"li a0, {address}\nvsetivli x0, 2, e32, m1, ta, ma\n{line}{EXIT}"
    built = assemble(f"{text}\n.data\n.zero 64", xlen=64)
    for run in (execute, lambda program: CompiledMachine(program).run()):
        with pytest.raises(
            ExecutionError, match=f"line 3.*{word} access of 4 bytes at {address:#x}"
        ):
            run(built)


# The vector unit: cycles by hand.

UNIT = {"datapath_bits": 128, "memory_bytes_per_cycle": 16}


def cycles(text, *, vlen=512, miss=0, latencies=None, xlen=64, **unit):
    core = CoreTiming(
        rules=PipelineRules(forwarding=True, shared_port=False),
        caches=hierarchy({"capacity_bytes": 4096, "line_bytes": 64, "ways": 64}),
        latency_cycles=latencies or {},
        miss_cycles=(0, miss),
        vector=VectorUnitSpec(**UNIT | unit),
    )
    built = assemble(f"{text}{EXIT}\n.data\n.balign 64\nroom: .zero 1024", xlen=xlen)
    (section,) = CompiledMachine(built, timing=core, vlen_bits=vlen).run()
    assert section.stack.total == section.stack.busy + sum(section.stack.stalls.values())
    return section.stack.total


SETUP = "la a0, room\nvsetvli t1, x0, e32, m1, ta, ma\n"


def test_elements_take_the_datapath_as_many_cycles_as_they_are_wide():
    two = SETUP + "vadd.vv v1, v2, v3\nvadd.vv v4, v5, v6\n"
    # Seven instructions in five stages. 16 elements of 32 bits take 1, 4 or 8 cycles, by which the
    # second waits for the first; at 64 bits the unit ends three cycles behind the last WB.
    assert cycles(two, datapath_bits=512) == 7 + 4
    assert cycles(two, datapath_bits=128) == 7 + 4 + 3
    assert cycles(two, datapath_bits=64) == 7 + 4 + 7 + 3


def test_memory_moves_its_bytes_a_cycle_and_a_stride_an_element_a_cycle():
    load = SETUP + "vle32.v v1, (a0)\nvle32.v v2, (a0)\n"
    assert cycles(load, memory_bytes_per_cycle=8) == cycles(load, memory_bytes_per_cycle=16) + 8
    strided = SETUP + "li a1, 4\nvlse32.v v1, (a0), a1\nvlse32.v v2, (a0), a1\n"
    assert cycles(strided) == cycles(strided, memory_bytes_per_cycle=4)  # 16 cycles each


def test_chaining_lets_a_product_begin_with_the_first_elements_of_a_load():
    text = SETUP + "vle32.v v1, (a0)\nvfmul.vv v2, v1, v1\nvfadd.vv v3, v2, v2\n"
    # Unchained, an instruction begins three cycles later than its operand's first elements.
    assert cycles(text, chaining=False) == cycles(text, chaining=True) + 2 * 3 - 3


def test_a_miss_holds_the_memory_part_and_what_waits_for_the_load():
    text = SETUP + "vle32.v v1, (a0)\nvadd.vv v2, v1, v1\n"
    assert cycles(text, miss=20) == cycles(text) + 20


def test_a_dependent_instruction_is_taken_when_the_first_elements_are_there_and_no_sooner():
    unit = VectorUnit(VectorUnitSpec(**UNIT))
    done = unit.begin(Work(occupies_cycles=4, latency_cycles=5, results=[1]), start=10)
    assert done == 10 + 3 + 5
    follows = Work(memory=True, occupies_cycles=4, latency_cycles=1, operands=[1])
    assert unit.accepts(follows) == 15
    assert unit.accepts(Work(occupies_cycles=1, latency_cycles=1)) == 14  # the part is free
    slow = VectorUnit(VectorUnitSpec(**UNIT, chaining=False))
    slow.begin(Work(occupies_cycles=4, latency_cycles=5, results=[1]), start=10)
    assert slow.accepts(follows) == 18


def test_divisions_are_not_pipelined_and_ordered_sums_go_element_by_element():
    latencies = {Kind.FLOAT_DIVIDE: 10, Kind.FLOAT: 4}
    divide = SETUP + "vfdiv.vv v1, v2, v3\n"
    add = SETUP + "vfadd.vv v1, v2, v3\n"
    lasts = {Kind.FLOAT_DIVIDE: 10, Kind.FLOAT: 10}
    assert cycles(divide, latencies=lasts) == cycles(add, latencies=lasts) + 4 * 10 - 4
    ordered = SETUP + "vfredosum.vs v1, v2, v3\n"
    tree = SETUP + "vfredusum.vs v1, v2, v3\n"
    # 16 elements one by one; or 4 groups, then two steps over four lanes and one for vs1.
    gap = 16 * 4 - (4 + 3 * 4)
    assert cycles(ordered, latencies=latencies) == cycles(tree, latencies=latencies) + gap


def test_a_scalar_result_is_waited_for():
    text = SETUP + "vfredosum.vs v1, v2, v3\nvmv.x.s a1, v1\n"
    latencies = {Kind.FLOAT: 4}
    without, needed = (
        cycles(text + line, latencies=latencies) for line in ("add a2, a3, a3", "add a2, a1, a1")
    )
    assert needed > without


@pytest.mark.parametrize("key", ["datapath_bits", "memory_bytes_per_cycle"])
def test_a_unit_without_width_is_refused(key):
    with pytest.raises(SpecError, match=f"{key} is 0; write 1 or more"):
        VectorUnitSpec(**UNIT | {key: 0})


def test_a_core_without_a_vector_unit_times_no_vector_program():
    core = CoreTiming(
        rules=PipelineRules(forwarding=True, shared_port=False),
        caches=hierarchy({"capacity_bytes": 4096, "line_bytes": 64, "ways": 64}),
        miss_cycles=(0, 9),
    )
    with pytest.raises(SpecError, match="this core has no vector unit"):
        CompiledMachine(assemble("vsetivli x0, 1, e8, m1, ta, ma"), timing=core)


def test_the_superscalar_cores_refuse_a_vector_program_by_its_line():
    run = ran("vsetivli x0, 1, e8, m1, ta, ma")
    with pytest.raises(SpecError, match=r"line 1.*these cores have no vector unit"):
        make_stream(load_core(core_names()[0]), run)
