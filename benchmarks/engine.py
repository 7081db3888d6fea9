"""How fast time passes: SimPy's events, stages in SimPy, and their compiled twin.

python benchmarks/engine.py
"""

from collections.abc import Iterator

import numpy as np
import simpy
from timing import Figures, best_of

from sim.pipeline import Flow, StageSpec, run_pipeline

TIMEOUTS = 200_000
TILES = 5_000
COMPILED_TILES = 1_000_000


def timeouts() -> None:
    """Let one process wait many times."""
    env = simpy.Environment()

    def tick() -> Iterator[simpy.Event]:
        for _ in range(TIMEOUTS):
            yield env.timeout(1)

    env.process(tick())
    env.run()


def flow(tiles: int) -> Flow:
    """Load, compute and store a number of tiles."""
    return Flow(
        cycles=np.tile(np.array([7, 5, 3]), (tiles, 1)), fences=np.zeros(tiles, dtype=np.bool_)
    )


def main() -> None:
    """Print events and tiles per CPU second."""
    figures = Figures("speed of the engine")
    stages = [StageSpec(name=name) for name in ("load", "compute", "store")]
    small, large = flow(TILES), flow(COMPILED_TILES)
    figures.show("SimPy timeouts, one process", TIMEOUTS / best_of(5, timeouts), "a second")
    seconds = best_of(3, lambda: run_pipeline(stages, small, engine="simpy"))
    figures.show("tiles through three stages, SimPy", TILES / seconds, "a second")
    seconds = best_of(3, lambda: run_pipeline(stages, large, engine="compiled"))
    figures.show("tiles through three stages, compiled", COMPILED_TILES / seconds, "a second")
    figures.finish()


if __name__ == "__main__":
    main()
