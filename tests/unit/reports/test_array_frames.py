"""Pictures of the array: every name comes out of the moving reference, in the right cycle."""

from collections import Counter

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.charts.array import array_picture
from reports.charts.style import svg_text
from reports.frames import Frame, PictureError, frames
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm

FLOWS = list(Dataflow)


def drawn(frame: Frame) -> list[str]:
    """One word a row of the array: right, stays, down of each element."""
    return [
        " ".join(f"{c.right or '.'}/{c.stays or '.'}/{c.down or '.'}" for c in row)
        for row in frame.cells
    ]


def test_weights_move_down_row_by_row_and_inputs_enter_on_the_diagonal() -> None:
    shown = frames(ArraySpec(rows=2, cols=2), Gemm(m=2, n=2, k=2))
    assert [drawn(frame) for frame in shown] == [
        ["./b21/. ./b22/.", "././. ././."],
        ["./b11/. ./b12/.", "./b21/. ./b22/."],
        ["a11/b11/c11 ./b12/.", "./b21/. ./b22/."],
        ["a21/b11/c21 a11/b12/c12", "a12/b21/c11 ./b22/."],
        ["./b11/. a21/b12/c22", "a22/b21/c21 a12/b22/c12"],
        ["./b11/. ./b12/.", "./b21/. a22/b22/c22"],
    ]
    assert [frame.out for frame in shown] == [
        *[("", "")] * 3,
        ("c11", ""),
        ("c21", "c12"),
        ("", "c22"),
    ]
    assert [frame.what for frame in shown] == ["load", "load", *["stream"] * 4]


def test_inputs_that_stay_multiply_the_same_pairs_with_a_in_the_place_of_b() -> None:
    shown = frames(
        ArraySpec(rows=2, cols=2, dataflow=Dataflow.INPUT_STATIONARY), Gemm(m=2, n=2, k=2)
    )
    assert drawn(shown[3]) == ["b12/a11/c12 b11/a21/c21", "b21/a12/c11 ./a22/."]


def test_sums_that_stay_are_complete_with_their_last_pair() -> None:
    shown = frames(
        ArraySpec(rows=2, cols=2, dataflow=Dataflow.OUTPUT_STATIONARY), Gemm(m=2, n=2, k=2)
    )
    assert [drawn(frame) for frame in shown] == [
        ["a11/c11/b11 ././.", "././. ././."],
        ["a12/c11/b21 a11/c12/b12", "a21/c21/b11 ././."],
        ["././. a12/c12/b22", "a22/c21/b21 a21/c22/b12"],
        ["././. ././.", "././. a22/c22/b22"],
    ]
    assert [sum(c.complete for row in f.cells for c in row) for f in shown] == [0, 1, 2, 1]


@pytest.mark.parametrize("drain", [Drain.OVERLAPPED, Drain.SERIAL])
@pytest.mark.parametrize("overlapped", [False, True])
def test_every_result_leaves_a_draining_array_once(drain: Drain, overlapped: bool) -> None:
    array = ArraySpec(rows=3, cols=2, dataflow=Dataflow.OUTPUT_STATIONARY, drain=drain)
    shown = frames(array, Gemm(m=5, n=3, k=3), overlapped=overlapped)
    left = Counter(name for frame in shown for name in frame.out if name)
    assert left == Counter(f"c{m}{n}" for m in range(1, 6) for n in range(1, 4))


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("overlapped", [False, True])
def test_every_pair_meets_once_whatever_stays(flow: Dataflow, overlapped: bool) -> None:
    array = ArraySpec(rows=3, cols=2, dataflow=flow)
    shown = frames(array, Gemm(m=3, n=4, k=5), overlapped=overlapped)
    met = Counter(
        tuple(sorted((c.right, c.stays, c.down)))
        for frame in shown
        for row in frame.cells
        for c in row
        if c.step >= 0 and all((c.right, c.stays, c.down))
    )
    assert met == Counter(
        (f"a{m}{k}", f"b{k}{n}", f"c{m}{n}")
        for m in range(1, 4)
        for n in range(1, 5)
        for k in range(1, 6)
    )


def test_folds_are_numbered_and_a_run_s_cycles_counted_through() -> None:
    shown = frames(ArraySpec(rows=2, cols=2), Gemm(m=2, n=2, k=4))
    assert [frame.cycle for frame in shown] == list(range(1, 13))
    assert [shown[at].what for at in (0, 5, 6, 11)] == [
        "load, fold 1",
        "stream, fold 1",
        "load, fold 2",
        "stream, fold 2",
    ]


@pytest.mark.parametrize(
    ("rows", "m", "k", "what"),
    [
        (6, 1, 1, "an array of 6x2"),
        (2, 10, 1, "a product of 10x2x1"),
        (2, 9, 9, "a run of 65 cycles"),
    ],
)
def test_what_cannot_be_read_is_refused(rows: int, m: int, k: int, what: str) -> None:
    with pytest.raises(PictureError, match=f"{what} is too large for a picture"):
        frames(ArraySpec(rows=rows, cols=2), Gemm(m=m, n=2, k=k))


@pytest.mark.parametrize("flow", FLOWS)
def test_a_picture_says_its_cycles_and_is_the_same_each_time(flow: Dataflow) -> None:
    array = ArraySpec(rows=2, cols=2, dataflow=flow)
    pictures = [array_picture(array, Gemm(m=2, n=3, k=2), overlapped=True) for _ in range(2)]
    title = pictures[0].texts[0].get_text()
    assert title.startswith("2x3x2 (MxNxK) on 2x2")
    assert f": {len(pictures[0].axes)} cycles" in title
    assert title.endswith(", 2 folds overlapped") == (flow is not Dataflow.INPUT_STATIONARY)
    assert svg_text(pictures[0]) == svg_text(pictures[1])


def test_a_picture_s_words_stay_on_its_sheet() -> None:
    array = ArraySpec(rows=3, cols=3, dataflow=Dataflow.OUTPUT_STATIONARY, drain=Drain.SERIAL)
    figure = array_picture(array, Gemm(m=4, n=4, k=3))
    FigureCanvasAgg(figure).draw()
    sheet = figure.bbox
    for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]:
        box = text.get_window_extent()
        assert box.x0 >= sheet.x0, text
        assert box.x1 <= sheet.x1, text
