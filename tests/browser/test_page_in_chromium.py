"""The page in a real browser: every chart is displayed, on light and on dark."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from reports.charts import CHARTS
from reports.cli import run_commands

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTH, HEIGHT = 1000, 5000
THEMES = {"dark": 0, "light": 1}  # blink's preferredColorScheme
MEASURE = """
<script>
const boxes = [...document.querySelectorAll("figure svg")].map(svg => {
  const box = svg.getBoundingClientRect();
  const drawn = [...svg.querySelectorAll("path, use")].filter(part => {
    const size = part.getBoundingClientRect();
    return size.width + size.height > 0;
  });
  return {x: box.x, y: box.y, width: box.width, height: box.height, drawn: drawn.length};
});
document.body.dataset.measured = JSON.stringify({
  boxes, overflow: document.documentElement.scrollWidth - window.innerWidth,
});
</script>
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    machines = ("--machine", "gpu-a100-sxm-80gb", "--machine", "tpu-v3-core")
    assert run_commands(["compare", *machines, "--out", str(out), "--quiet"]) == 0
    return out / "index.html"


def chromium(profile: Path, page: Path, *options: str) -> str:
    return subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--user-data-dir={profile}",
            f"--window-size={WIDTH},{HEIGHT}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.fixture(scope="module")
def measured(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    probe = tmp_path_factory.mktemp("probe") / "probe.html"
    probe.write_text(page.read_text().replace("</body>", f"{MEASURE}</body>"))
    dom = chromium(probe.parent / "profile", probe, "--dump-dom")
    found = re.search(r'data-measured="([^"]*)"', dom)
    assert found is not None
    content: dict[str, Any] = json.loads(html.unescape(found[1]))
    return content


def test_every_chart_is_displayed_at_a_readable_size(measured: dict[str, Any]) -> None:
    assert len(measured["boxes"]) == len(CHARTS)
    for box in measured["boxes"]:
        assert box["width"] > 500
        assert box["height"] > 150
        assert box["drawn"] > 50


def test_the_page_does_not_scroll_sideways(measured: dict[str, Any]) -> None:
    assert measured["overflow"] <= 0


@pytest.mark.parametrize("theme", THEMES)
def test_every_chart_shows_ink_and_colour(
    page: Path, measured: dict[str, Any], theme: str, tmp_path: Path
) -> None:
    shot = tmp_path / "shot.png"
    chromium(
        tmp_path / "profile",
        page,
        f"--screenshot={shot}",
        f"--blink-settings=preferredColorScheme={THEMES[theme]}",
    )
    pixels = (imread(shot)[..., :3] * 255).astype(np.int64)  # [height, width, 3]
    ground = pixels[2, 2]
    assert (ground.mean() > 200) == (theme == "light")
    for box in measured["boxes"]:
        rows = slice(int(box["y"]), int(box["y"] + box["height"]))
        part = pixels[rows, int(box["x"]) : int(box["x"] + box["width"])]
        assert (np.ptp(part, axis=2) > 60).mean() > 0.002  # coloured
        against_ground = np.abs(part - ground).sum(axis=2)
        assert (against_ground > 500).mean() > 0.002  # text
        assert (against_ground < 30).mean() > 0.3  # the page shows through
