import re

import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.charts import CHARTS, draw
from reports.charts.style import (
    ALL_SWATCHES,
    CAUSES,
    FAMILIES,
    RC,
    fastest_first,
    parts_of,
    png_bytes,
    svg_text,
)
from reports.charts.sweep import SweepPoint, sweep, swept_parameter
from sim.result import RunResult
from sim.stalls import StallCause


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_results_give_the_same_files(name: str, results: list[RunResult]) -> None:
    first, second = draw(CHARTS[name], results), draw(CHARTS[name], results)
    assert png_bytes(first) == png_bytes(second)
    assert svg_text(first) == svg_text(second)


@pytest.mark.parametrize("name", CHARTS)
def test_a_page_s_chart_leaves_every_colour_to_the_page(
    name: str, results: list[RunResult]
) -> None:
    svg = svg_text(draw(CHARTS[name], results), for_page=True)
    fixed = set(re.findall(r"#[0-9a-f]{6}", svg))
    assert fixed <= {"#ffffff"}  # labels on dark segments, white on either page


@pytest.mark.parametrize("name", CHARTS)
def test_a_single_machine_without_decode_has_charts(name: str, make_result) -> None:
    assert png_bytes(draw(CHARTS[name], [make_result(new_tokens=1)]))


@pytest.mark.parametrize("name", CHARTS)
def test_a_phase_without_dram_traffic_has_charts(name: str, make_result) -> None:
    assert png_bytes(draw(CHARTS[name], [make_result(dram_bytes=0), make_result("other")]))


def test_every_cause_has_a_colour_and_no_colour_means_two_things() -> None:
    assert set(CAUSES) == set(StallCause)
    lights = [swatch.light for swatch in ALL_SWATCHES]
    darks = [swatch.dark for swatch in ALL_SWATCHES]
    assert len(set(lights)) == len(lights)
    assert len(set(darks)) == len(darks)
    assert set(FAMILIES) == {"cpu", "gpu", "tpu"}


def test_the_parts_of_a_phase_sum_to_its_cycles(results: list[RunResult]) -> None:
    for result in results:
        for phase in result.phases:
            assert sum(cycles for _, _, cycles in parts_of(result, phase)) == phase.cycles


def test_busy_cycles_are_told_apart_by_what_operations_compute(make_result) -> None:
    result = make_result(busy=40, scale=10)
    parts = {label: cycles for label, _, cycles in parts_of(result, result.phases[0])}
    assert parts["matrix arithmetic"] == 800
    assert parts["vector arithmetic"] == 200


def test_throughput_writes_each_phase_s_value(results: list[RunResult]) -> None:
    shown = texts(draw(CHARTS["throughput"], results))
    assert len(shown) == 2 * len(results)
    assert "9,947" in shown


def test_the_fastest_decoder_comes_first(results: list[RunResult]) -> None:
    assert [r.machine for r in fastest_first(results)][:2] == ["tpu-v3-core", "cpu-simd-8core"]


def test_roofline_labels_cover_neither_each_other_nor_leave_the_axes(
    results: list[RunResult],
) -> None:
    figure = draw(CHARTS["roofline"], results)
    (axes,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [note.get_window_extent(renderer) for note in axes.texts if note.get_text()]
    frame = axes.get_window_extent()
    for at, box in enumerate(boxes):
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1 + 1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1 + 1
        assert not any(box.overlaps(other) for other in boxes[at + 1 :])


def test_machines_of_equal_roofs_share_one(results: list[RunResult]) -> None:
    shown = texts(draw(CHARTS["roofline"], results))
    assert any(text.startswith("3 CPUs") for text in shown)


def test_a_sweep_draws_one_line_a_machine_over_the_swept_parameter(make_result) -> None:
    points = [
        SweepPoint(parameters={"batch": batch}, result=make_result(name, scale=1000 * batch))
        for batch in (1, 4, 16)
        for name in ("cpu-5stage", "cpu-harvard")
    ]
    assert swept_parameter(points) == "batch"
    with rc_context(RC):
        figure = sweep(points)
    prefill, decode = figure.axes
    assert len(prefill.lines) == len(decode.lines) == 2
    assert decode.get_xlabel() == "batch"
    assert decode.get_xscale() == "log"


def test_a_sweep_over_nothing_shows_the_machines_throughput(make_result) -> None:
    points = [SweepPoint(parameters={}, result=make_result(name)) for name in ("one", "two")]
    with rc_context(RC):
        figure = sweep(points)
    (axes,) = figure.axes
    assert len(axes.patches) == 4  # prefill and decode of each


def test_a_sweep_over_words_names_them_on_its_axis(make_result) -> None:
    points = [
        SweepPoint(parameters={"dtype": dtype}, result=make_result())
        for dtype in ("float32", "float16")
    ]
    with rc_context(RC):
        figure = sweep(points)
    figure.canvas.draw()
    shown = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert shown == ["float32", "float16"]
