"""One operation, timed from its trace and executed, on the same core with the same empty caches."""

from dataclasses import replace

from cpu_cases import spec

from sim.cpu.hierarchy import Hierarchy
from sim.cpu.lowering import Lowering
from sim.cpu.riscv.assembler import assemble
from sim.cpu.riscv.calls import ModelNumbers, calls_of
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming
from sim.cpu.riscv.kernels import kernel_text
from sim.cpu.steady import Timeline, stack_of
from workloads.trace import Access, Block, Family, Op, Phase, Role, Tensor, Trace

TEXT_BASE, DATA_BASE = 0x4000_0000, 0x5000_0000
LINE_BYTES = 64
NUMBERS = ModelNumbers(
    head_size=16,
    norm_eps=1e-6,
    rope_theta=None,
    rope_interleaved=False,
    transposed=frozenset({"head"}),
)
TABLE = {"rows": 1, "cols": 1}
ANGLES = ".data\n.align 6\ncosines: .zero 64\nsines: .zero 64\n.text"


def one_op(kind, family, dims, reads, writes, *, name="op"):
    """A trace of one decode step with one operation; tensors are (elements, role) pairs."""
    tensors, accesses, address = [], [], 0
    for number, (elements, role) in enumerate((*reads, *writes)):
        dtype = "int64" if role is Role.INPUT else "float32"
        tensor = Tensor(
            name=f"t{number}", role=role, shape=(elements,), dtype=dtype, address=address
        )
        tensors.append(tensor)
        accesses.append(Access(number, tensor.bytes))
        address += tensor.bytes + LINE_BYTES & -LINE_BYTES
    op = Op(
        kind=kind,
        family=family,
        name=name,
        dims=dims,
        flops=1,
        reads=tuple(accesses[: len(reads)]),
        writes=tuple(accesses[len(reads) :]),
        dtype="float32",
        phase=Phase.DECODE,
        step=1,
    )
    return Trace(
        model="test",
        batch=1,
        prompt_tokens=1,
        new_tokens=2,
        dtype="float32",
        tensors=tuple(tensors),
        blocks=(Block(ops=(op,)),),
    )


def product(m, n, k, *, name="op"):
    """A product with a weight; `head` is one with a transposed weight."""
    dims = {"batch": 1, "m": m, "n": n, "k": k}
    reads = [(m * k, Role.ACTIVATION), (k * n, Role.WEIGHT)]
    return one_op("matmul", Family.MATMUL, dims, reads, [(m * n, Role.ACTIVATION)], name=name)


def with_a_model(trace):
    """The trace with what tells of its model: attention's head size, a tied embedding."""
    (op,) = trace.blocks[0].ops
    shape = {"batch": 1, "m": 1, "n": 1, "k": NUMBERS.head_size}
    scores = replace(op, kind="attention_scores", family=Family.MATMUL, dims=shape)
    ops = [op, scores]
    if op.name in NUMBERS.transposed:
        table = (op.reads[1], op.reads[0])
        ops.append(replace(op, kind="embedding", family=Family.GATHER, reads=table, dims=TABLE))
    return replace(trace, blocks=(Block(ops=tuple(ops)),))


def program_of(trace, machine="cpu-5stage", **parts):
    """A time line, and the program that the machine model makes of the one operation."""
    described = spec(machine, **parts)
    hierarchy, (op,) = Hierarchy(described), trace.blocks[0].ops
    lowering = Lowering(hierarchy, described)
    lowering.start(with_a_model(trace))
    plan = lowering.plan(op, lowering.find(op, None, trace), trace)
    assert plan.choice.startswith("executed kernels: ")
    return Timeline(described.rules, described.line_bytes), plan.shares[0].program


def from_trace(trace, machine="cpu-5stage", **parts):
    """The account of the one operation, as the machine model has it."""
    timeline, program = program_of(trace, machine, **parts)
    return stack_of(timeline.cost(program))


def executed(trace, machine="cpu-5stage", *, values=None, **parts):
    """The account of the one operation's own program; `values` maps tensor names to arrays."""
    described = spec(machine, **parts)
    (op,) = trace.blocks[0].ops
    places = [trace.tensors[access.tensor].address for access in (*op.reads, *op.writes)]
    lines = [line for call in calls_of(op, places, NUMBERS) for line in call.lines()]
    program = assemble(
        "\n".join(["main:", *lines, "op_end:", "li a7, 10", "ecall", kernel_text(), ANGLES]),
        xlen=64,
        text_base=TEXT_BASE,
        data_base=DATA_BASE,
    )
    room = max(tensor.address + tensor.bytes for tensor in trace.tensors)
    machine = CompiledMachine(
        program,
        timing=CoreTiming.of(described),
        regions=[(0, room)],
        marks=[program.symbols["op_end"]],
        power_off=False,
    )
    for tensor in trace.tensors:
        if tensor.role is Role.INPUT:  # a different token each
            view = machine.memory.view(tensor.address, tensor.bytes).view("i8")
            view[:] = range(len(view))
        if values and tensor.name in values:
            machine.memory.view(tensor.address, tensor.bytes).view("f4")[:] = values[tensor.name]
    return machine.run(limit=10_000_000)[0].stack
