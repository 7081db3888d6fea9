"""How fast the systolic closed form is, and how much faster than the peer on its own rows.

python benchmarks/systolic.py [--data FOLDER] [--readme]

FOLDER holds `scalesim.csv`, whose `cpu_s` is what the peer took for each row, start-up and, in its
USER modes, its memory model included; by default the selection that the tests use.
"""

import argparse
import csv
import tracemalloc
from pathlib import Path

from timing import Figures, best_of

from sim.tpu.array.partition import Partitioner
from sim.tpu.array.systolic import ArraySpec, Dataflow, Gemm, SystolicSchedule

ROWS = Path(__file__).parents[1] / "tests" / "validation" / "data" / "systolic"
REPEATS = 200

GPT3_GEMMS = [Gemm(m=2048, n=n, k=k) for n, k in ((36864, 12288), (12288, 49152), (49152, 12288))]

Case = tuple[int, int, str, int, int, int]


def cycles(case: Case) -> int:
    """Run the closed form from the numbers of one row."""
    rows, cols, flow, m, n, k = case
    array = ArraySpec(rows=rows, cols=cols, dataflow=Dataflow(flow))
    return SystolicSchedule(array, Gemm(m=m, n=n, k=k)).serial_cycles


def read(folder: Path) -> tuple[list[Case], list[float]]:
    """Return the rows and the peer's CPU seconds for each."""
    with (folder / "scalesim.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    cases = [
        (
            int(row["array_rows"]),
            int(row["array_cols"]),
            row["dataflow"],
            int(row["M"]),
            int(row["N"]),
            int(row["K"]),
        )
        for row in table
    ]
    return cases, [float(row["cpu_s"]) for row in table]


def main() -> None:
    """Print time per product, the ratio to the peer, and the memory of the largest products."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROWS, help="folder with scalesim.csv")
    parser.add_argument("--readme", action="store_true", help="put the figures into the README")
    figures = Figures("speed of the systolic array")
    cases, peer_seconds = read(parser.parse_args().data)

    seconds = best_of(5, lambda: [cycles(case) for _ in range(REPEATS) for case in cases])
    each = seconds / REPEATS / len(cases)
    figures.show("a product's cycles, closed form", each * 1e6, "us")
    mean, least = sum(peer_seconds) / len(cases), min(peer_seconds)
    figures.show(f"the peer, mean of {len(cases)} rows", mean * 1e6, "us")
    figures.show("faster than the peer on the same rows, by the mean", mean / each, "times")
    figures.show("and on its quickest row", least / each, "times")

    array = ArraySpec(rows=128, cols=128)
    choose = Partitioner(array, 8).choose
    figures.show(
        "best partition over 8 arrays", best_of(5, lambda: choose(GPT3_GEMMS[0])) * 1e6, "us"
    )

    tracemalloc.start()
    for gemm in GPT3_GEMMS:
        SystolicSchedule(array, gemm).overlapped_cycles  # noqa: B018 - its memory is the figure
    _, peak_bytes = tracemalloc.get_traced_memory()
    figures.show("peak memory for products of a GPT-3 layer", peak_bytes / 1024, "KiB")
    figures.finish()


if __name__ == "__main__":
    main()
