"""Machines without interlock at the speed of compiled code: wrong values, and the same cycles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.cpu.pipelines import bare_state as compiled
from sim.cpu.pipelines.bare_compiled import run_bare_cycles
from sim.cpu.pipelines.bare_memory import copy_into, fill, grown, no_pages
from sim.cpu.pipelines.bare_stages import end
from sim.cpu.pipelines.bare_state import Bare
from sim.cpu.pipelines.compiled_predictor import COUNTERS, ENTRIES, INITIAL, predictor_rules
from sim.cpu.pipelines.decode import Decoded, decode
from sim.cpu.pipelines.engine import CYCLE_LIMIT
from sim.cpu.pipelines.issue import may_pair
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.compiled import codes
from sim.cpu.riscv.integers import signed, wrap
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Program
from sim.cpu.riscv.registers import REGISTERS, F
from sim.errors import SpecError
from sim.stalls import CycleStack, StallCause

Ints = npt.NDArray[np.int64]

CAUSES = (StallCause.FILL_DRAIN, StallCause.CONTROL, StallCause.SYNCHRONISATION)
STAMPS_AT_FIRST = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class BareRun:
    """A whole run, as `PipelineRun` has it."""

    cycles: int
    retired: int
    stack: CycleStack
    machine: Machine
    """Registers and memory at the end, right or wrong."""
    predictions: int | None
    correct_predictions: int | None
    stamps: Ints
    """[fetched, stages, 2] first and last cycle in each stage, -1 for none; empty unless asked
    for."""
    indices: Ints
    """[fetched] place in the program; empty unless asked for."""
    was_retired: npt.NDArray[np.bool_]
    """[fetched] squashed ones are not; empty unless asked for."""


def run_bare(
    spec: PipelineSpec, program: Program, *, limit: int = CYCLE_LIMIT, stamps: bool = False
) -> BareRun:
    """Run a program on a machine without interlock.

    SpecError for another machine, ExecutionError after `limit` cycles, for what no program may do
    and for what only the readable engine executes.
    """
    if spec.organisation != "pipelined" or spec.interlock:
        raise SpecError(f"{spec.name}: is not without interlock; use run_stream or run_pipeline")
    machine = Machine(program, lenient=True)
    bare = _begin(spec, program, stamps=stamps)
    while (why := run_bare_cycles(bare, limit)) != compiled.DONE:
        if why == compiled.FULL:
            bare = _with_room(bare)
        elif why == compiled.CALLED:
            _call(bare, machine, int(bare.rules[compiled.CALLS]))
        else:
            _refuse(why, bare, program, limit)
    return _result(spec, bare, machine)


def _begin(spec: PipelineSpec, program: Program, *, stamps: bool) -> Bare:
    decoded, depth = decode(program), len(spec.stages)
    predictor = predictor_rules(spec.predictor)
    state = np.zeros(compiled.STATE, dtype=np.int64)
    state[compiled.FETCH], state[compiled.EXIT] = program.entry, -1
    registers = np.zeros(REGISTERS, dtype=np.int64)
    initial = Machine(program).registers
    registers[:] = [signed(_bits(program, n), value) for n, value in enumerate(initial)]
    kept = STAMPS_AT_FIRST if stamps else 0
    return Bare(
        code=_code(program),
        table=_table(decoded),
        rules=_rules(spec, program),
        forwards=np.array([stage in spec.forward_from for stage in spec.stages], dtype=np.int64),
        state=state,
        registers=registers,
        stands=np.full((depth, spec.width), -1, dtype=np.int64),
        causes=np.zeros(depth, dtype=np.int64),
        flights=np.zeros((_on_their_way(spec), compiled.FLIGHT), dtype=np.int64),
        predictor=predictor,
        entries=np.full((predictor[ENTRIES], 3), -1, dtype=np.int64),
        counters=np.full(predictor[COUNTERS], predictor[INITIAL], dtype=np.int64),
        scratch=np.zeros(5, dtype=np.int64),
        pages=fill(no_pages(), program.data_base, program.data),
        stamps=np.full((kept, depth, 2), -1, dtype=np.int64),
        history=np.zeros((kept, 2), dtype=np.int64),
    )


def _on_their_way(spec: PipelineSpec) -> int:
    """Return a power of two that no two instructions on their way are apart in number.

    One stays at most twice the depth: a cycle a stage, and as many while a call waits.
    """
    return 1 << (2 * spec.width * len(spec.stages)).bit_length()


def _bits(program: Program, register: int) -> int:
    return program.xlen if register < F else 64


def _code(program: Program) -> Ints:
    """Decode; an instruction's registers are its own: operands in order, then the result."""
    code = codes.decode(program)
    for row, instruction in zip(code, program.instructions, strict=True):
        count = len(instruction.sources)
        row[codes.A : codes.A + count] = range(count)
        row[codes.TO] = compiled.SOURCES
    return code


def _table(decoded: tuple[Decoded, ...]) -> Ints:
    table = np.zeros((len(decoded), compiled.COLUMNS), dtype=np.int64)
    for place, one in enumerate(decoded):
        row = table[place]
        row[compiled.DEST] = one.dest
        row[compiled.SOURCE : compiled.SOURCE + len(one.sources)] = one.sources
        row[compiled.CONTROL] = one.transfers_control
        row[compiled.CONDITIONAL] = one.instruction.operation.kind is Kind.BRANCH
        row[compiled.WRITES] = one.has_dest_form
        row[compiled.CALL] = one.is_call
        following = decoded[place + 1 : place + 2]
        row[compiled.PAIRS] = any(may_pair(one, second) for second in following)
    return table


def _rules(spec: PipelineSpec, program: Program) -> Ints:
    place = spec.stages.index
    rules = np.zeros(compiled.RULES, dtype=np.int64)
    rules[compiled.READ] = place(spec.read_stage)
    rules[compiled.EXECUTE] = place(spec.execute_stage)
    rules[compiled.MEMORY] = place(spec.memory_stage)
    rules[compiled.RESOLVE] = place(spec.resolve_stage)
    rules[compiled.CALLS] = place(spec.call_stage)
    rules[compiled.LAST] = len(spec.stages) - 1
    rules[compiled.WAITS] = spec.call_waits_for_writes
    rules[compiled.DRAINS] = spec.drains
    rules[compiled.COUNTS_EXIT] = spec.counts_exit
    rules[compiled.BASE] = program.text_base
    rules[compiled.MASK] = 2**32 - 1 if program.xlen == 32 else -1
    return rules


def _with_room(bare: Bare) -> Bare:
    """Return the same state with room for more pages and stamps."""
    pages = bare.pages
    if pages.used[0] + compiled.PAGES_A_CYCLE > len(pages.words):
        pages = grown(pages)
    return bare._replace(
        pages=pages,
        stamps=np.concatenate([bare.stamps, np.full_like(bare.stamps, -1)]),
        history=np.concatenate([bare.history, np.zeros_like(bare.history)]),
    )


def _call(bare: Bare, machine: Machine, stage: int) -> None:
    """Make an environment call as the readable machine does; an exit call ends the program."""
    flight = bare.flights[bare.stands[stage, 0]]
    _show(bare, machine)
    machine.call(machine.program.instructions[int(flight[compiled.INDEX])])
    if machine.exit_code is not None:
        bare.state[compiled.EXIT] = machine.exit_code
        end(bare, stage)


def _show(bare: Bare, machine: Machine) -> None:
    """Bring registers and memory into the readable machine."""
    machine.registers[:] = [
        wrap(_bits(machine.program, n), value) for n, value in enumerate(bare.registers.tolist())
    ]
    copy_into(bare.pages, machine.memory)


def _oldest(bare: Bare, program: Program) -> str:
    """Name the oldest instruction on its way, or the program where there is none."""
    for stands in reversed(bare.stands.tolist()):
        for flight in stands:
            if flight >= 0:
                place = int(bare.flights[flight, compiled.INDEX])
                return program.where(program.instructions[place])
    return program.name


def _refuse(why: int, bare: Bare, program: Program, limit: int) -> None:
    if why == compiled.ENDLESS:
        raise ExecutionError(
            f"{_oldest(bare, program)}: still running after {limit} cycles; the program loops for "
            "ever, or needs a higher limit"
        )
    address = wrap(program.xlen, int(bare.state[compiled.FETCH]))
    raise ExecutionError(
        f"{program.name}: no instruction at {address:#x} and none on its way; end the program "
        "with an exit call"
    )


def _result(spec: PipelineSpec, bare: Bare, machine: Machine) -> BareRun:
    state = bare.state.tolist()
    _show(bare, machine)
    machine.exit_code, machine.retired = state[compiled.EXIT], state[compiled.PASSED]
    _stamp_what_is_left(bare)
    kept = state[compiled.FETCHED] if len(bare.stamps) else 0
    stalls = dict(zip(CAUSES, state[compiled.STALLS :], strict=True))
    known = spec.predictor is not None
    return BareRun(
        cycles=state[compiled.CYCLE],
        retired=state[compiled.RETIRED],
        stack=CycleStack(busy=state[compiled.BUSY], stalls=stalls),
        machine=machine,
        predictions=state[compiled.TOTAL] if known else None,
        correct_predictions=state[compiled.HITS] if known else None,
        stamps=bare.stamps[:kept],
        indices=bare.history[:kept, 0],
        was_retired=bare.history[:kept, 1].astype(np.bool_),
    )


def _stamp_what_is_left(bare: Bare) -> None:
    """Stamp what was held in the last cycle."""
    cycle = int(bare.state[compiled.CYCLE])
    for stage, stands in enumerate(bare.stands.tolist()):
        for flight in stands:
            if len(bare.stamps) and flight >= 0:
                row = bare.flights[flight]
                if row[compiled.ENTERED] < cycle:
                    stamp = bare.stamps[row[compiled.NUMBER], stage]
                    stamp[:] = row[compiled.ENTERED], cycle - 1
