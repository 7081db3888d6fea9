"""Charts of training runs: the same drawings, with training's phases."""

from itertools import pairwise

import pytest

from reports.charts.roofline import roofline
from reports.charts.stacks import stacks
from reports.charts.style import fastest_first
from reports.charts.throughput import throughput
from sim.machine import load_machine
from sim.result import RunResult
from sim.run import run
from workloads import load_model, train
from workloads.training import AdamW


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    trace = train(load_model("glassllm-en"), shape=(1, 4), steps=1, optimiser=AdamW(lr=1e-3)).trace
    return [run(trace, load_machine(name)) for name in ("tpu-v4", "gpu-a100-sxm-80gb")]


def test_stacks_have_a_panel_for_each_phase_of_training(results: list[RunResult]) -> None:
    titles = [axes.get_title() for axes in stacks(results).axes]
    assert titles == ["forward", "backward", "update"]


def test_throughput_has_a_bar_for_each_phase_of_training(results: list[RunResult]) -> None:
    (axes,) = throughput(results).axes
    assert len(axes.patches) == 3 * len(results)
    spans = sorted((bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_bars_of_a_phase_look_as_the_legend_says(results: list[RunResult]) -> None:
    figure = throughput(results)
    keys = figure.legends[0].get_patches()
    bars = figure.axes[0].patches
    for phase, key in enumerate(keys):
        for bar in bars[phase :: len(keys)]:
            assert bar.get_hatch() == key.get_hatch()
            solid = bar.get_facecolor() == bar.get_edgecolor()
            assert solid == (key.get_facecolor() == key.get_edgecolor())


def test_the_roofline_names_the_phases_of_training(results: list[RunResult]) -> None:
    labels = {text.get_text() for text in roofline(results).legends[0].get_texts()}
    assert {"forward", "backward", "update"} <= labels


def test_the_machine_that_trains_faster_comes_first(results: list[RunResult]) -> None:
    first, second = fastest_first(results)
    assert first.seconds < second.seconds
