"""Caches timed through SimPy: the readable hierarchy's contents, laid out over cycles."""

from sim.memory.timed.memory import FlatServer, MemoryServer
from sim.memory.timed.result import LevelTiming, TimedRun
from sim.memory.timed.run import run_timed
from sim.memory.timed.spec import CoreSpec, TimedHierarchySpec, TimedLevelSpec

__all__ = [
    "CoreSpec",
    "FlatServer",
    "LevelTiming",
    "MemoryServer",
    "TimedHierarchySpec",
    "TimedLevelSpec",
    "TimedRun",
    "run_timed",
]
