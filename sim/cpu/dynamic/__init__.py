"""The textbook's dynamically scheduled machines, which execute RISC-V for real, as data."""

from sim.cpu.dynamic.flight import DynamicRun, Flight
from sim.cpu.dynamic.run import run_dynamic
from sim.cpu.dynamic.spec import (
    InOrderSpec,
    ScoreboardSpec,
    TomasuloSpec,
    dynamic_names,
    load_dynamic,
)
from sim.cpu.dynamic.status import instruction_status, register_status, unit_status

__all__ = [
    "DynamicRun",
    "Flight",
    "InOrderSpec",
    "ScoreboardSpec",
    "TomasuloSpec",
    "dynamic_names",
    "instruction_status",
    "load_dynamic",
    "register_status",
    "run_dynamic",
    "unit_status",
]
