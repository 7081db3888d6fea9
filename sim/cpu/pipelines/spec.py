"""Teaching pipelines as data: one YAML file each, in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.semantics import OPERATIONS
from sim.errors import SpecError, did_you_mean
from sim.spec import Strict, read_yaml, validate

FOLDER = Path(__file__).parent


class PredictorSpec(Strict):
    """A branch predictor in IF, with a branch target buffer."""

    scheme: Literal["not-taken", "taken", "backward-taken", "counter", "perfect"]
    """`counter` learns; `perfect` knows what comes; the others are fixed."""
    counter_bits: int = Field(default=2, ge=1, le=4)
    """Of each saturating counter."""
    initial: int = Field(default=0, ge=0)
    """What counters start with; 0 is strongly not taken."""
    history_bits: int = Field(default=0, ge=0, le=16)
    """Last outcomes, of all control flow, that choose the counter with the address."""
    combine: Literal["concatenate", "xor"] = "concatenate"
    """How history and address make the counter's number; `xor` is gshare."""
    address_bits: int = Field(default=0, ge=0, le=16)
    """Of the instruction's address, above its lowest two, in the counter's number."""
    buffer_bits: int = Field(default=0, ge=0, le=16)
    """2 to this power is the number of entries of the branch target buffer."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        tables = self.model_fields_set - {"scheme"}
        if self.scheme == "perfect" and tables:
            raise ValueError(f"a perfect predictor has no tables; leave out {min(tables)}")
        missing = {"address_bits", "buffer_bits"} - tables
        if self.scheme != "perfect" and missing:
            raise ValueError(f"a predictor that is not perfect has tables; give {min(missing)}")
        if self.initial >= 1 << self.counter_bits:
            raise ValueError(
                f"a counter of {self.counter_bits} bits cannot start at {self.initial}"
            )
        return self


class PipelineSpec(Strict):
    """One machine that executes RISC-V, for teaching."""

    name: str
    title: str
    description: str
    sources: Mapping[str, str]
    organisation: Literal["single-cycle", "multi-cycle", "pipelined"]
    stages: tuple[str, ...] = Field(min_length=1)
    """From fetch to write-back."""
    width: int = Field(default=1, ge=1, le=2)
    """Instructions fetched and issued a cycle."""
    read_stage: str = "ID"
    """Where registers are read and hazards are found; the next stage executes."""
    execute_stage: str = "EX"
    """Where results, data addresses and next addresses are computed."""
    memory_stage: str = "MEM"
    """At whose end loaded data is there; the last stage writes registers."""
    call_stage: str = "EX"
    """Where environment calls are done."""
    resolve_stage: str = "EX"
    """Where a wrong next address is found; fetching goes on right a cycle later."""
    forward_from: tuple[str, ...] = ()
    """Stages from which results go to the execute stage past the register file: of what stands
    there while the reader executes. None: operands come from registers only."""
    interlock: bool = False
    """Whether an instruction waits for operands; without, it takes what it finds."""
    call_waits_for_writes: bool = False
    """Whether an environment call waits until older instructions have left MEM and WB, if they are
    of a form that writes a register."""
    drains: bool = True
    """Whether the clock goes on after the exit call until it has left the pipeline."""
    counts_exit: bool = True
    """Whether the exit call counts as retired."""
    predictor: PredictorSpec | None = None
    """None: the next instruction in memory is fetched."""
    visits: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Of a multi-cycle machine: the stages, a cycle each, that every kind of instruction passes, or
    a mnemonic that differs from its kind."""
    exit_state: str = ""
    """Of a multi-cycle machine: the stage on whose entry the exit call stops the clock."""
    text_base: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.organisation == "multi-cycle" and not self.visits:
            raise ValueError("a multi-cycle machine needs `visits`")
        for key in self.visits:
            if key not in list(Kind) and key not in OPERATIONS:
                hint = did_you_mean(key, [*Kind, *OPERATIONS])
                raise ValueError(f"`visits` has no kind or mnemonic '{key}'{hint}")
        if self.organisation != "pipelined":
            return self
        self._check_roles()
        self._check_order()
        return self

    def _check_roles(self) -> None:
        """Refuse names that are no stages, or stand twice."""
        roles = ("read_stage", "execute_stage", "memory_stage", "call_stage", "resolve_stage")
        named = [(role, getattr(self, role)) for role in roles]
        named += [("forward_from", stage) for stage in self.forward_from]
        for role, stage in named:
            if stage not in self.stages:
                hint = did_you_mean(stage, self.stages)
                raise ValueError(f"{role}: '{stage}' is not among {', '.join(self.stages)}{hint}")
        for names in (self.stages, self.forward_from):
            for stage in names:
                if names.count(stage) > 1:
                    raise ValueError(f"stage '{stage}' stands twice; give each its own name")

    def _check_order(self) -> None:
        """Refuse roles in an order in which no program would run."""
        place = self.stages.index
        execute, memory = place(self.execute_stage), place(self.memory_stage)
        resolve, call = place(self.resolve_stage), place(self.call_stage)
        last = len(self.stages) - 1
        if place(self.read_stage) + 1 != execute:
            raise ValueError("registers are read in the stage before it executes; mend read_stage")
        if execute < 2:
            raise ValueError("fetch needs a stage of its own, before read_stage")
        if not execute < memory < last:
            raise ValueError("memory_stage stands after execute_stage and before the last stage")
        if not execute <= resolve <= min(memory, call):
            raise ValueError(
                "resolve_stage is not before execute_stage and not after memory_stage or "
                "call_stage: what was fetched in vain must neither store nor call"
            )
        if call == last:
            raise ValueError("call_stage stands before the last stage")
        if self.forward_from and min(map(place, self.forward_from)) <= execute:
            raise ValueError("forward_from names stages after execute_stage")
        if self.width > 1 and execute < 3:
            raise ValueError("width 2 needs a stage between fetch and read_stage, to issue in")
        if self.interlock and not self.call_waits_for_writes and call < last - 1:
            raise ValueError(
                "an environment call reads registers: set call_waits_for_writes, or call_stage to "
                f"{self.stages[-2]}"
            )
        if self.predictor and self.predictor.scheme == "perfect" and not self.interlock:
            raise ValueError("a perfect predictor needs right values; set interlock")


def pipeline_names() -> tuple[str, ...]:
    """Names of the machines in this folder."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_pipeline(name: str | Path) -> PipelineSpec:
    """Read a machine by its name here, or any file; SpecError says what is wrong with it."""
    path = name if isinstance(name, Path) else FOLDER / f"{name}.yaml"
    if not isinstance(name, Path) and name not in pipeline_names():
        raise SpecError(f"no pipeline is named '{name}'{did_you_mean(name, pipeline_names())}")
    return validate(PipelineSpec, read_yaml(path), path)
