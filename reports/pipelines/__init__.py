"""Runs of RISC-V programs on the pipelines and cores that have one: what there is to see of them.

A machine is a teaching pipeline, one of the textbook's dynamically scheduled machines, or a
superscalar core; each has a `Look`, and the command treats all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.pipelines.dynamic import DynamicLook
from reports.pipelines.look import Look, Shown
from reports.pipelines.superscalar import SuperscalarLook
from reports.pipelines.teaching import TeachingLook
from sim.cpu.cores import core_names, load_core
from sim.cpu.dynamic import dynamic_names, load_dynamic
from sim.cpu.pipelines import load_pipeline, pipeline_names
from sim.errors import SpecError, did_you_mean
from sim.spec import read_yaml

__all__ = ["LIMIT", "Look", "Shown", "look_at", "machine_list"]

Start = Callable[[str | Path, Sequence[Path], Sequence[str], int], Look]
OWN_KEYS = ("organisation", "technique", "order")
"""Keys that only a teaching pipeline, a dynamically scheduled machine or a core has, in this order.
"""
LIMIT = 500_000
"""After which a program counts as endless: some seconds of waiting."""
ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of machine."""

    heading: str
    names: Sequence[str]
    title_of: Callable[[str], str]
    start: Start
    own_key: str


def _kinds() -> list[_Kind]:
    teaching, dynamic, core = OWN_KEYS
    return [
        _Kind(
            "teaching pipelines",
            pipeline_names(),
            lambda name: load_pipeline(name).title,
            TeachingLook.of,
            teaching,
        ),
        _Kind(
            "textbook machines with dynamic scheduling or long units",
            dynamic_names(),
            lambda name: load_dynamic(name).title,
            DynamicLook.of,
            dynamic,
        ),
        _Kind(
            "superscalar cores",
            core_names(),
            lambda name: load_core(name).title,
            SuperscalarLook.of,
            core,
        ),
    ]


def machine_list() -> str:
    """Return all machines that run a program, with their titles, kind by kind."""
    lines = []
    width = max(len(name) for kind in _kinds() for name in kind.names)
    for kind in _kinds():
        lines += [f"{kind.heading}:"]
        lines += [f"  {name.ljust(width)}  {kind.title_of(name)}" for name in kind.names]
    return "\n".join(lines)


def look_at(
    name: str, programs: Sequence[Path], watched: Sequence[str] = (), *, limit: int = LIMIT
) -> Look:
    """Run programs on a machine by its name, or by the path of its YAML file.

    `limit` is of cycles; of machines whose programs are executed beforehand, of instructions.
    Raises SpecError for an unknown name and for what the machine cannot do, AssemblyError and
    ExecutionError for a program that is none.
    """
    if name.endswith(ENDINGS):
        path = Path(name)
        return _kind_of_file(path).start(path, programs, watched, limit)
    for kind in _kinds():
        if name in kind.names:
            return kind.start(name, programs, watched, limit)
    known = [name for kind in _kinds() for name in kind.names]
    raise SpecError(f"no machine is named '{name}'{did_you_mean(name, known)}; try --list")


def _kind_of_file(path: Path) -> _Kind:
    values = read_yaml(path)
    for kind in _kinds():
        if kind.own_key in values:
            return kind
    raise SpecError(
        f"{path}: has none of the keys {', '.join(OWN_KEYS)}, which tell the kind of machine; "
        "begin with a copy of one of the simulator's files"
    )
