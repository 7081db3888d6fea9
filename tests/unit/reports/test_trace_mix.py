"""The mix of a trace: sums, shares, layers and intensity, and the chart of it."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.charts.mix import mix_chart
from reports.charts.style import ALL_SWATCHES, png_bytes, svg_text
from reports.mix import layer_rows, layer_totals, mix_rows, phase_rows
from reports.mix_files import csv_of, write_mix
from workloads import Block, Trace, generate, load_model

AMOUNTS = ("count", "flops", "transcendentals", "bytes_read", "bytes_written", "bytes")


def made(name: str, new_tokens: int = 3) -> Trace:
    return generate(
        load_model(name), prompt_tokens=5, new_tokens=new_tokens, batch=2, execute=False
    ).trace


@pytest.fixture(scope="module")
def trace() -> Trace:
    return made("gpt2-small")


@pytest.mark.parametrize("name", ["gpt2-small", "gemma2-2b", "glassllm-en"])
def test_every_cut_sums_to_the_whole_trace(name: str) -> None:
    trace = made(name)
    (whole,) = (row for row in phase_rows(trace) if row["phase"] == "all")
    ops = [placed.op for placed in trace.placed_ops()]
    assert whole["count"] == trace.op_count
    assert whole["flops"] == trace.flops
    assert whole["bytes"] == sum(op.bytes_read + op.bytes_written for op in ops)
    for rows in (mix_rows(trace), layer_rows(trace), layer_totals(trace), phase_rows(trace)[:-1]):
        assert {a: sum(row[a] for row in rows) for a in AMOUNTS} == {a: whole[a] for a in AMOUNTS}
        for share in ("count_share", "flops_share", "bytes_share"):
            assert sum(row[share] for row in rows) == pytest.approx(1)


@pytest.mark.parametrize("name", ["gpt2-small", "gemma2-2b"])
def test_each_layer_has_what_its_operations_count(name: str) -> None:
    trace = made(name)
    expected: dict[tuple[str, int | None, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for placed in trace.placed_ops():
        entry = expected[str(placed.op.phase), placed.layer, placed.op.kind]
        touched = placed.op.bytes_read + placed.op.bytes_written
        for at, amount in enumerate((1, placed.op.flops, touched)):
            entry[at] += amount
    found = {}
    for row in layer_rows(trace):
        first, last = row["first_layer"], row["last_layer"]
        for layer in [None] if first is None else range(first, last + 1):
            amounts = [row[name] // row["layers"] for name in ("count", "flops", "bytes")]
            found[row["phase"], layer, row["kind"]] = amounts
    assert found == expected


def test_equal_layers_stand_on_one_row_and_others_apart() -> None:
    ranges = [(row["first_layer"], row["last_layer"]) for row in layer_totals(made("gpt2-small"))]
    assert ranges == [(None, None), (0, 11)] * 2
    model = load_model("gpt2-small")
    trace = generate(model, prompt_tokens=5, new_tokens=1, execute=False).trace
    blocks = list(trace.blocks)
    at = next(n for n, block in enumerate(blocks) if block.repeats > 1)
    ops = blocks[at].ops
    heavier = replace(ops[0], flops=ops[0].flops + 1)
    first, rest = ops[0].layer, blocks[at].repeats - 1
    moved = tuple(replace(op, layer=(op.layer or 0) + rest) for op in (heavier, *ops[1:]))
    blocks[at : at + 1] = [Block(ops=ops, repeats=rest), Block(ops=moved)]
    ranges = [(r["first_layer"], r["last_layer"]) for r in layer_totals(edited(trace, blocks))]
    assert ranges == [(None, None), (0, 10), (11, 11)]
    assert (first or 0) + rest == 11


def edited(trace: Trace, blocks: list[Block]) -> Trace:
    return replace(trace, blocks=tuple(blocks))


def test_intensity_is_flops_over_bytes(trace: Trace) -> None:
    row = next(r for r in mix_rows(trace) if r["kind"] == "softmax" and r["phase"] == "prefill")
    scores = 12 * 2 * 12 * 5 * 5  # layers, batch, heads, [T, S]
    flops = 5 * scores + 12 * 5 * 5  # the mask once a layer
    assert row["flops"] == flops
    assert row["flops_per_byte"] == flops / (2 * 4 * scores)
    append = next(r for r in mix_rows(trace) if r["kind"] == "cache_append")
    assert append["flops_per_byte"] == 0


def test_the_csv_has_the_rows_of_the_layers(trace: Trace) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of(trace))))
    assert sum(int(row["flops"]) for row in rows) == trace.flops
    assert {(row["first_layer"], row["last_layer"]) for row in rows} == {("", ""), ("0", "11")}


def test_a_folder_gets_chart_and_tables_the_same_each_time(trace: Trace, tmp_path: Path) -> None:
    write_mix(trace, tmp_path / "a")
    write_mix(trace, tmp_path / "b")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert set(files) == {"mix.png", "mix.svg", "mix.csv", "mix.json"}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}


def test_the_chart_names_every_kind_and_leaves_its_colours_to_a_page(trace: Trace) -> None:
    figure = mix_chart(trace)
    labels = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert labels == {row["kind"].replace("_", " ") for row in mix_rows(trace)}
    svg = svg_text(figure, for_page=True)
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) <= {"#ffffff"}
    assert "var(--matrix)" in svg
    assert len({swatch.light for swatch in ALL_SWATCHES}) == len(ALL_SWATCHES)


def test_no_text_of_the_chart_lies_on_another(trace: Trace) -> None:
    for figure in (mix_chart(trace), mix_chart(made("llama3-8b", new_tokens=1))):
        boxes = texts_in(figure)
        pairs = [(a, b) for at, a in enumerate(boxes) for b in boxes[at + 1 :]]
        assert [(a[0], b[0]) for a, b in pairs if a[1].overlaps(b[1])] == []


def texts_in(figure: Figure) -> list[tuple[str, object]]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        texts += [axes.title, axes._left_title, axes.xaxis.label, *axes.texts]
        texts += axes.get_xticklabels()
    texts += figure.axes[0].get_yticklabels()
    shown = [text for text in texts if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def test_a_trace_without_decode_has_a_chart() -> None:
    assert png_bytes(mix_chart(made("glassllm-en", new_tokens=1)))


def test_kinds_beyond_a_dozen_are_drawn_together(trace: Trace) -> None:
    from reports.charts.mix import _with_shares  # noqa: PLC0415
    from workloads.trace import Phase  # noqa: PLC0415

    row = {"phase": "prefill", "family": "elementwise", "count": 1, "flops_per_byte": 1.0}
    rows = [{**row, "kind": f"k{n}", "flops": n + 1, "bytes": n + 1} for n in range(20)]
    drawn = _with_shares(rows, [Phase.PREFILL])
    assert [r["kind"] for r in drawn] == [*(f"k{n}" for n in range(19, 8, -1)), "all others"]
    assert sum(r["shares"]["flops"] for r in drawn) == pytest.approx(1)
    assert drawn[-1]["count"] == 9
