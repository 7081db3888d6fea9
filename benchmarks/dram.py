"""How many DRAM requests a second the compiled controller serves, and the reference beside it.

python benchmarks/dram.py [--readme]
"""

from functools import partial

import numpy as np
import simpy
from timing import Figures, best_of

from sim.memory.dram import (
    AddressMapping,
    ControllerSpec,
    DramDevice,
    DramServer,
    load_device,
    simulate,
)
from sim.memory.dram.compiled import simulate_compiled
from sim.memory.dram.run import make_requests

PARTS = [
    ("ddr4", "DDR4_8Gb_x8", "DDR4_2400R"),
    ("ddr5", "DDR5_16Gb_x8", "DDR5_4800AN"),
    ("lpddr5", "LPDDR5_16Gb_x16", "LPDDR5_6400"),
    ("gddr6", "GDDR6_8Gb_x16", "GDDR6_14000"),
    ("hbm2", "HBM2_2Gb", "HBM2_2000Mbps"),
    ("hbm2e", "HBM2E_16Gb", "HBM2E_3800Mbps"),
    ("hbm3", "HBM3_8Gb_8hi", "HBM3_6400Mbps"),
]
COUNT = 200_000
FEW = 2_000


def main() -> None:
    """Print requests a second for streams, triads and random reads."""
    figures = Figures("speed of the DRAM controller")
    random = np.random.default_rng(0).integers(0, 1 << 23, COUNT)
    steps = np.arange(COUNT)
    spec = ControllerSpec()
    for part in PARTS:
        device = load_device(*part)
        mapping = AddressMapping(device, "RoBaRaCoCh")
        patterns = {
            "stream": (steps, steps < 0),
            "triad": (steps // 3 + (steps % 3 << 21), steps % 3 == 2),
            "random reads": (random, steps < 0),
        }
        for name, (transfers, writes) in patterns.items():
            requests = make_requests(mapping, transfers, writes)
            seconds = best_of(3, partial(simulate_compiled, device, requests, spec))
            figures.show(f"{part[2]}, {name}, compiled", COUNT / seconds / 1e6, "M requests/s")
        few = make_requests(mapping, steps[:FEW], steps[:FEW] < 0)
        seconds = best_of(1, partial(simulate, device, few, spec))
        figures.show(f"{part[2]}, stream, reference", FEW / seconds / 1e6, "M requests/s")
        seconds = best_of(1, partial(serve, device, spec))
        figures.show(f"{part[2]}, stream, within SimPy", FEW / seconds / 1e6, "M requests/s")
    figures.finish()


def serve(device: DramDevice, spec: ControllerSpec) -> None:
    """Ask for a stream at once, inside SimPy."""
    env = simpy.Environment()
    server = DramServer(env, device, channels=1, mapping="RoBaRaCoCh", spec=spec)
    for step in range(FEW):
        server.request(step * device.transfer_bytes, write=False)
    env.run()


if __name__ == "__main__":
    main()
