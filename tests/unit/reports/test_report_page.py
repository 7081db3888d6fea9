import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser

import pytest

from reports import tables
from reports.charts import CHARTS, draw
from reports.charts.style import ALL_SWATCHES, svg_text
from reports.energy import MachineEnergy, why_none
from reports.headline import headline
from reports.page import describe, render_page
from sim.result import RunResult

Render = Callable[..., str]


@pytest.fixture(scope="module")
def svgs(results: list[RunResult]) -> dict[str, str]:
    return {name: svg_text(draw(chart, results), for_page=True) for name, chart in CHARTS.items()}


@pytest.fixture
def render(results: list[RunResult], energies: list[MachineEnergy], svgs: dict[str, str]) -> Render:
    def page(generated: str = "the end", failures: Sequence[tables.Failure] = ()) -> str:
        content = {
            "tokenclock": "0.1.0",
            "headline": headline(results),
            "command": "tokenclock compare --prompt 'a < b'",
            "prompt": "Alice",
            "generated": generated,
            "failures": [{"machine": f.machine, "reason": f.reason} for f in failures],
            "no_energy": why_none(energies),
            "trace": {
                "model": "glassllm-en",
                "dtype": "float32",
                "batch": 1,
                "prompt_tokens": 5,
                "new_tokens": 8,
                "operations": 100,
                "flops": 10**6,
                "weight_bytes": 10**6,
                "digest": "ab" * 32,
            },
        }
        return render_page(content, results, energies, svgs)

    return page


def test_the_page_needs_nothing_from_outside(render: Render) -> None:
    page = render()
    assert "<script" not in page
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_headline_comes_before_the_charts(render: Render) -> None:
    page = render()
    assert page.index("TPU v3 core generates text fastest") < page.index("<svg")


def test_all_charts_are_inline_with_words_for_who_cannot_see_them(render: Render) -> None:
    page = render()
    assert page.count("<svg") == len(CHARTS)
    for name in CHARTS:
        assert f'aria-labelledby="{name}-words"' in page
        assert f'id="{name}-words"' in page


def test_generated_text_is_escaped(render: Render) -> None:
    page = render(generated="<script>alert(1)</script>")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_machine_that_did_not_run_is_named_with_the_reason(render: Render) -> None:
    page = render(failures=[tables.Failure(machine="toy-4x4", reason="holds 1 GiB only")])
    assert "toy-4x4" in page
    assert "did not run: holds 1 GiB only" in page


def test_energy_is_given_where_it_is_known_and_a_sentence_where_not(render: Render) -> None:
    page = render()
    energy = page[page.index('id="energy"') : page.index('id="shares"')]
    assert energy.count('<th scope="row">') == 1
    assert "<td>100 W</td>" in energy
    assert "cpu-von-neumann, cpu-harvard" in energy
    assert "(nobody knows)." in energy


def test_colours_are_defined_for_light_and_dark(render: Render) -> None:
    page = render()
    for swatch in ALL_SWATCHES:
        assert f"--{swatch.name}: {swatch.light};" in page
        assert f"--{swatch.name}: {swatch.dark};" in page


def test_table_headers_say_what_they_head(render: Render) -> None:
    headers: list[dict[str, str | None]] = []

    class Collector(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "th":
                headers.append(dict(attrs))

    Collector().feed(render())
    assert headers
    assert all(header.get("scope") in {"row", "col", "colgroup"} for header in headers)


def test_a_description_gives_the_chart_s_numbers(results: list[RunResult]) -> None:
    assert "TPU v3 core, decode: 9,947 tokens per second" in describe("throughput", results)
    assert "A100 80 GB, decode: launch 69 %" in describe("stacks", results)
    assert "FLOP/byte" in describe("roofline", results)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_the_page_by_four_and_a_half_to_one(theme: str) -> None:
    colours = {swatch.name: getattr(swatch, theme) for swatch in ALL_SWATCHES}
    for name in ("ink", "muted", "cpu", "gpu", "tpu"):
        least = 4.5 if name in {"ink", "muted"} else 3.0  # WCAG 2.1: text, graphical objects
        assert contrast(colours[name], colours["paper"]) >= least, name


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
