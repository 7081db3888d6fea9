"""Runs of RISC-V programs on the pipelines and cores that have one: what there is to see of them.

A machine is a teaching pipeline, one of the textbook's dynamically scheduled machines, or a
superscalar core; each has a `Look`, and the command treats all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from reports.pipelines.dynamic import DynamicLook
from reports.pipelines.look import Look, Shown
from reports.pipelines.superscalar import SuperscalarLook
from reports.pipelines.teaching import TeachingLook
from sim.cpu.cores import core_names
from sim.cpu.dynamic import dynamic_names
from sim.cpu.pipelines import pipeline_names
from sim.errors import SpecError, did_you_mean

__all__ = ["Look", "Shown", "look_at", "machine_names"]

Start = Callable[[str, Sequence[Path], Sequence[str]], Look]


def _kinds() -> list[tuple[Sequence[str], Start]]:
    return [
        (pipeline_names(), TeachingLook.of),
        (dynamic_names(), DynamicLook.of),
        (core_names(), SuperscalarLook.of),
    ]


def machine_names() -> list[str]:
    """Names of all machines that run a program, kind by kind."""
    return [name for names, _ in _kinds() for name in names]


def look_at(name: str, programs: Sequence[Path], watched: Sequence[str] = ()) -> Look:
    """Run programs on a machine by its name.

    Raises SpecError for an unknown name and for what the machine cannot do, AssemblyError and
    ExecutionError for a program that is none.
    """
    for names, start in _kinds():
        if name in names:
            return start(name, programs, watched)
    raise SpecError(f"no machine is named '{name}'{did_you_mean(name, machine_names())}")
