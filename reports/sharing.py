"""What sharing memory costs: a pattern or a recorded trace on a multicore, beside its twin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context

from reports.charts.sharing import sharing_growth
from reports.charts.style import RC, png_bytes, svg_text
from reports.output import json_text
from reports.sharing_rows import CoreRow, GrowthPoint, SharingAnswer, Twin
from sim.memory.coherent.description import MulticoreSpec
from sim.memory.coherent.monitor import MissClass
from sim.memory.coherent.patterns import find_pattern
from sim.memory.coherent.run import run_shared
from sim.memory.coherent.shared_trace import SharedTrace
from sim.memory.coherent.system import CoherenceResult, CoreCounts
from sim.stalls import CycleStack

GROWTH_PATTERNS = ("private", "false-sharing", "true-sharing")
"""What the chart draws over the number of cores."""
GROWTH_ACCESSES = 400
"""Of each core, at each point of the chart."""

Report = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to run."""

    system: MulticoreSpec
    pattern: str
    """Name of a pattern, or of a recorded trace."""
    trace: SharedTrace | None = None
    cores: int | None = None
    accesses: int


def analyse_sharing(asked: Asked, report: Report) -> SharingAnswer:
    """Run what was asked, its twin, and the growth with cores; SpecError where it cannot run."""
    what = asked.trace or asked.pattern
    system = asked.system
    result = run_shared(system, what, cores=asked.cores, accesses=asked.accesses)
    links = result.busy_cycles
    busiest = max(links, key=lambda name: links[name])
    span = max(result.cycles, 1)
    return SharingAnswer(
        pattern=asked.pattern,
        system=system.name,
        title=system.title,
        protocol=system.protocol,
        fabric=system.fabric,
        cycles=result.cycles,
        accesses=result.accesses,
        forwarded=sum(core.forwarded for core in result.cores),
        upgrades=sum(core.upgrades for core in result.cores),
        invalidations=sum(core.invalidations for core in result.cores),
        write_backs=sum(core.write_backs for core in result.cores),
        misses=_classes(result.misses),
        messages=dict(result.messages),
        busiest_link=busiest,
        busiest_share=links[busiest] / span,
        mean_link_share=sum(links.values()) / len(links) / span,
        stack=stack_of(result.stack),
        cores=tuple(_core(n, core) for n, core in enumerate(result.cores)),
        twin=_twin(asked, result),
        growth=_growth(system, report),
    )


def stack_of(stack: CycleStack) -> dict[str, int]:
    """Return busy, each cause and idle, in cycles."""
    parts = {"busy": stack.busy, **{str(c): n for c, n in stack.stalls.items()}}
    return {**parts, "idle": stack.idle}


def core_counts(most: int) -> list[int]:
    """Return the numbers of cores that the chart has: doublings, and all of them."""
    return sorted({1 << power for power in range(most.bit_length()) if 1 << power <= most} | {most})


def _classes(misses: Mapping[MissClass, int]) -> dict[str, int]:
    return {str(kind): misses.get(kind, 0) for kind in MissClass}


def _core(number: int, core: CoreCounts) -> CoreRow:
    return CoreRow(
        core=number,
        accesses=core.accesses,
        finished_cycles=core.finished,
        cycles_per_access=core.finished / max(core.accesses, 1),
        hits=core.hits,
        forwarded=core.forwarded,
        upgrades=core.upgrades,
        invalidations=core.invalidations,
        misses=_classes(Counter(core.misses)),
        stack=stack_of(core.account),
    )


def _twin(asked: Asked, result: CoherenceResult) -> Twin | None:
    """Run the same work with the cores' data kept apart."""
    if asked.trace is not None or not find_pattern(asked.pattern).apart:
        return None
    apart = run_shared(
        asked.system, asked.pattern, cores=asked.cores, accesses=asked.accesses, apart=True
    )
    return Twin(
        what=find_pattern(asked.pattern).apart,
        cycles=apart.cycles,
        ratio=result.cycles / apart.cycles,
    )


def _growth(system: MulticoreSpec, report: Report) -> tuple[GrowthPoint, ...]:
    counts = core_counts(system.cores)
    points: list[GrowthPoint] = []
    for name in GROWTH_PATTERNS:
        for cores in counts:
            report(len(points), len(GROWTH_PATTERNS) * len(counts), f"{name}, {cores} cores")
            run = run_shared(system, name, cores=cores, accesses=GROWTH_ACCESSES)
            points.append(
                GrowthPoint(
                    pattern=name,
                    cores=cores,
                    cycles=run.cycles,
                    cycles_per_access=run.cycles / GROWTH_ACCESSES,
                )
            )
    return tuple(points)


def write_sharing(answer: SharingAnswer, folder: Path) -> None:
    """Write sharing.json and the growth chart into a folder that exists."""
    (folder / "sharing.json").write_text(json_text(answer.as_dict()), encoding="utf-8")
    with rc_context(RC):
        figure = sharing_growth(answer)
    (folder / "sharing-growth.png").write_bytes(png_bytes(figure))
    (folder / "sharing-growth.svg").write_text(svg_text(figure), encoding="utf-8")
