"""Assembly programs on several cores that share one coherent memory, executed for real.

Each hart executes its program; loads, stores and atomics on the program's data go through the
coherent memory. What lies between two accesses takes the time that a core model needs for it when
the program runs alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from statistics import median_low

import numpy as np

from sim.cpu.cores.run import run_core
from sim.cpu.cores.spec import load_core
from sim.cpu.riscv.assembler import assemble
from sim.cpu.riscv.machine import Machine, execute
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.semantics import data_address
from sim.errors import SpecError
from sim.memory.coherent.cache import add, fence, load, store, work
from sim.memory.coherent.core import Program as CoreProgram
from sim.memory.coherent.description import load_system
from sim.memory.coherent.system import CoherenceResult, run_coherent

CORE = "ooo-w4-rob128-tage"
"""What takes the time between accesses."""
STEP_LIMIT = 5_000_000
"""Instructions of one hart after which a program counts as endless."""
HARTS_NAME = "NHARTS"
"""What programs call the number of harts."""
WORD_BYTES = 8
WRAP = 1 << 64


def run_harts(path: Path, *, harts: int, system: str, core: str = CORE) -> CoherenceResult:
    """Run one program on some cores of a multicore memory; a hart ends by exit or a jump to itself.

    Raises SpecError for more harts than cores, AssemblyError and ExecutionError as the program is.
    """
    spec = load_system(system)
    if harts > spec.cores:
        raise SpecError(f"{spec.name} has {spec.cores} cores, not {harts}")
    program = _program(path, harts)
    gaps = _gaps(path, core)
    return run_coherent(
        spec.coherence(), [hart_program(program, hart, gaps) for hart in range(harts)]
    )


def hart_program(program: Program, hart: int, gaps: Mapping[int, int]) -> CoreProgram:
    """Execute a hart's program, its data in the coherent memory.

    `gaps` has cycles of work before an instruction, by its place. The coherent memory begins with
    zeros: it holds what words have gained over their initial content.
    """
    machine = Machine(program, hart=hart)
    image = _image(program)
    for _ in range(STEP_LIMIT):
        instruction = machine.fetch(machine.address)
        kind = instruction.operation.kind
        if kind is Kind.FENCE:
            yield fence()
        address = _shared_address(machine, instruction)
        if address < 0:
            machine.step()
        else:
            if gap := gaps.get(program.index_of(instruction.address) or 0, 0):
                yield work(gap)
            began = image.get(address, 0)
            if kind is Kind.LOAD:
                gained = yield load(address)
                machine.memory.write(address, WORD_BYTES, began + gained)
                machine.step()
            elif kind is Kind.STORE:
                machine.step()
                now = machine.memory.read(address, WORD_BYTES)
                yield store(address, (now - began) % WRAP)
            else:
                gained = yield add(address, machine.registers[instruction.sources[0]])
                machine.memory.write(address, WORD_BYTES, began + gained)
                machine.step()
        if machine.exit_code is not None or machine.address == instruction.address:
            return
    raise ExecutionError(f"{program.name}: hart {hart} still runs after {STEP_LIMIT} instructions")


def _shared_address(machine: Machine, instruction: Instruction) -> int:
    """Return the word that an instruction accesses in the program's data, -1 for none."""
    operation, program = instruction.operation, machine.program
    if not operation.accesses_memory:
        return -1
    values = [machine.registers[source] for source in instruction.sources]
    address = data_address(instruction, values, program.xlen)
    if not program.data_base <= address < program.data_base + len(program.data):
        return -1
    atomic = operation.kind is Kind.ATOMIC
    if operation.bytes != WORD_BYTES or (atomic and instruction.mnemonic != "amoadd.d"):
        raise ExecutionError(
            f"{program.where(instruction)}: harts share words of 8 bytes, by loads, stores and "
            "amoadd.d; use those"
        )
    return address


def _image(program: Program) -> dict[int, int]:
    """Return the words of the data that are not zero, by address."""
    padded = program.data + bytes(-len(program.data) % WORD_BYTES)
    words = np.frombuffer(padded, dtype="<u8")
    return {
        program.data_base + WORD_BYTES * int(place): int(words[place])
        for place in np.flatnonzero(words)
    }


@lru_cache(maxsize=32)
def _program(path: Path, harts: int) -> Program:
    text = path.read_text(encoding="utf-8")
    return assemble(text.replace(HARTS_NAME, str(harts)), xlen=64, name=str(path))


@lru_cache(maxsize=32)
def _gaps(path: Path, core: str) -> dict[int, int]:
    """Return the usual cycles from the end of one access to the start of the next, run alone."""
    execution = execute(_program(path, 1))
    timing = run_core(load_core(core), execution).timing
    touching = np.flatnonzero(execution.addresses >= 0)
    waits = timing.issued[touching[1:]] - timing.done[touching[:-1]]
    seen: dict[int, list[int]] = defaultdict(list)
    for place, wait in zip(execution.indices[touching[1:]].tolist(), waits.tolist(), strict=True):
        seen[place].append(max(0, wait))
    return {place: median_low(found) for place, found in seen.items()}
