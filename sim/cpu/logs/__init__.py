"""Stage stamps of instructions, whatever core they ran on, and the formats other viewers read."""

from __future__ import annotations

from sim.cpu.logs.chrome import chrome_trace
from sim.cpu.logs.kanata import kanata
from sim.cpu.logs.o3_pipe_view import O3Stages, o3_pipe_view
from sim.cpu.logs.stamps import StageStamp, StampedInstruction

__all__ = [
    "O3Stages",
    "StageStamp",
    "StampedInstruction",
    "chrome_trace",
    "kanata",
    "o3_pipe_view",
]
