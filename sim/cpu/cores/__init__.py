"""Superscalar cores, in order and out of order, over the retired stream of a program."""

from sim.cpu.cores.engine import SuperscalarCore
from sim.cpu.cores.run import CoreRun, run_core
from sim.cpu.cores.spec import CoreSpec, core_names, load_core
from sim.cpu.cores.stream import Stream, make_stream
from sim.cpu.cores.timing import Timing

__all__ = [
    "CoreRun",
    "CoreSpec",
    "Stream",
    "SuperscalarCore",
    "Timing",
    "core_names",
    "load_core",
    "make_stream",
    "run_core",
]
