"""Colours and type of every chart, in one place, so that a colour means one thing everywhere.

Machine families take Okabe and Ito's colours (Color Universal Design, 2008), cycle causes Paul
Tol's `muted` scheme (SRON/EPS/TN/09-002, 2021): both hold under colour blindness, and they share
no colour. Every colour also has a name, through which the page swaps it for its dark variant.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from sim import limits
from sim.result import PhaseRow, RunResult
from sim.stalls import StallCause
from workloads.trace import Family, Phase

WIDTH_INCHES = 5.0
"""A paper's column after slight reduction: 8-point type stays above 5 points at 3.4 inches."""
PNG_DOTS_PER_INCH = 200


@dataclass(frozen=True, slots=True)
class Swatch:
    """One colour, as drawn on light paper and as the page shows it on dark."""

    name: str
    light: str
    dark: str


# No two `light` values are alike: the page finds the colours in the SVG by their value.
INK = Swatch("ink", "#1b1f24", "#e8eaed")
MUTED = Swatch("muted", "#5c6370", "#a9b1bd")
GRID = Swatch("grid", "#dcdfe4", "#353b45")
PAPER = Swatch("paper", "#fefefe", "#14171c")

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 8,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.7,
    "axes.facecolor": "none",  # the figure's own shows, or the page's
    "axes.edgecolor": INK.light,
    "axes.labelcolor": INK.light,
    "text.color": INK.light,
    "xtick.color": INK.light,
    "ytick.color": INK.light,
    "svg.fonttype": "path",  # looks the same without the font
    "svg.hashsalt": "tokenclock",  # the same figure gives the same file
}

FAMILIES: Mapping[str, Swatch] = {
    "cpu": Swatch("cpu", "#0072b2", "#56b4e9"),
    "gpu": Swatch("gpu", "#009e73", "#2cc79b"),
    "tpu": Swatch("tpu", "#d55e00", "#f5853f"),
}
OTHER_FAMILY = Swatch("other-family", "#7a4fa3", "#b48ade")

MATRIX = Swatch("matrix", "#332288", "#6a5acd")
VECTOR = Swatch("vector", "#88ccee", "#88ccef")
IDLE = Swatch("idle", "#dddddd", "#c4c4c4")
CAUSES: Mapping[StallCause, Swatch] = {
    StallCause.BANDWIDTH: Swatch("bandwidth", "#882255", "#b23a74"),
    StallCause.DRAM: Swatch("dram", "#cc6677", "#d9707f"),
    StallCause.CACHE: Swatch("cache", "#ddcc77", "#ddcc78"),
    StallCause.DATA_DEPENDENCY: Swatch("data-dependency", "#117733", "#1c8a43"),
    StallCause.STRUCTURAL: Swatch("structural", "#44aa99", "#44aa9a"),
    StallCause.CONTROL: Swatch("control", "#999933", "#a3a33b"),
    StallCause.SYNCHRONISATION: Swatch("synchronisation", "#aa4499", "#b653a5"),
    StallCause.FILL_DRAIN: Swatch("fill-drain", "#9a9a9a", "#9b9b9b"),
    StallCause.LAUNCH: Swatch("launch", "#555555", "#757575"),
}
DARK_SWATCHES = {
    MATRIX.name,
    CAUSES[StallCause.BANDWIDTH].name,
    CAUSES[StallCause.DATA_DEPENDENCY].name,
    CAUSES[StallCause.SYNCHRONISATION].name,
    CAUSES[StallCause.LAUNCH].name,
}
"""Colours on which a label is white; on all others it is black."""
HATCHES = {CAUSES[StallCause.FILL_DRAIN].name: "////", VECTOR.name: "\\\\\\\\"}
"""A second difference where two neighbours are close in grey print."""

ALL_SWATCHES = (
    *(INK, MUTED, GRID, PAPER),
    *FAMILIES.values(),
    *(OTHER_FAMILY, MATRIX, VECTOR, IDLE),
    *CAUSES.values(),
)

PHASE_MARKERS = {
    Phase.PREFILL: "o",
    Phase.DECODE: "s",
    Phase.FORWARD: "^",
    Phase.BACKWARD: "v",
    Phase.UPDATE: "D",
}
PHASE_HATCHES = {
    Phase.PREFILL: "/////",
    Phase.DECODE: "",
    Phase.FORWARD: "////",
    Phase.BACKWARD: "\\\\\\\\",
    Phase.UPDATE: "....",
}


def family_colour(family: str) -> str:
    """Colour of a machine family; families that came later share one."""
    return FAMILIES.get(family, OTHER_FAMILY).light


def parts_of(result: RunResult, phase: PhaseRow) -> list[tuple[str, Swatch, int]]:
    """Return (label, colour, cycles) of a phase's cycles in drawing order; they sum to it.

    Busy cycles are told apart by what the operations compute: matrix products, or all the rest.
    """
    matrix = sum(
        row.stack.busy
        for row in result.ops
        if row.phase is phase.phase and row.family is Family.MATMUL
    )
    stack = phase.stack
    parts = [
        (limits.MATRIX, MATRIX, matrix),
        (limits.VECTOR, VECTOR, stack.busy - matrix),
        *((str(cause), swatch, stack.stalls.get(cause, 0)) for cause, swatch in CAUSES.items()),
        ("idle", IDLE, stack.idle),
    ]
    return [part for part in parts if part[2]]


def fastest_first(results: Sequence[RunResult]) -> list[RunResult]:
    """Order machines by decode throughput, by prefill where nothing was decoded, else by time."""

    def speed(result: RunResult) -> tuple[float, float, float]:
        decode, prefill = result.phase(Phase.DECODE), result.phase(Phase.PREFILL)
        return (
            decode.tokens_per_second if decode else 0.0,
            prefill.tokens_per_second if prefill else 0.0,
            -result.seconds if result.phase(Phase.UPDATE) else 0.0,
        )

    return sorted(results, key=speed, reverse=True)


def png_bytes(figure: Figure) -> bytes:
    """Render on white; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with rc_context(RC):
        figure.savefig(
            buffer,
            format="png",
            dpi=PNG_DOTS_PER_INCH,
            facecolor="white",
            metadata={"Software": None},
        )
    return buffer.getvalue()


def svg_text(figure: Figure, *, for_page: bool = False) -> str:
    """Render as SVG; `for_page` leaves the background clear and the colours to the page's CSS."""
    buffer = io.BytesIO()
    with rc_context(RC):
        figure.savefig(
            buffer,
            format="svg",
            facecolor="none" if for_page else "white",
            metadata={"Date": None, "Creator": "tokenclock"},
        )
    text = buffer.getvalue().decode()
    if not for_page:
        return text
    for swatch in ALL_SWATCHES:
        text = text.replace(swatch.light, f"var(--{swatch.name})")
    return text[text.index("<svg") :]
