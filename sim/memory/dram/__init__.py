"""DRAM command by command: standards as data, a controller, and its compiled twin."""

from sim.memory.dram.controller import simulate
from sim.memory.dram.device import DramDevice
from sim.memory.dram.mapping import MAPPINGS, AddressMapping
from sim.memory.dram.requests import DramResult, Requests
from sim.memory.dram.run import run_channels, run_dram
from sim.memory.dram.server import DramAccess, DramServer
from sim.memory.dram.spec import ControllerSpec, PagePolicy, Refresh, Stop
from sim.memory.dram.standard import DramStandard, load_device, load_standard, standard_names
from sim.memory.dram.streams import (
    idle_read_ticks,
    random_bytes_per_second,
    sustained_bytes_per_second,
)

__all__ = [
    "MAPPINGS",
    "AddressMapping",
    "ControllerSpec",
    "DramAccess",
    "DramDevice",
    "DramResult",
    "DramServer",
    "DramStandard",
    "PagePolicy",
    "Refresh",
    "Requests",
    "Stop",
    "idle_read_ticks",
    "load_device",
    "load_standard",
    "random_bytes_per_second",
    "run_channels",
    "run_dram",
    "simulate",
    "standard_names",
    "sustained_bytes_per_second",
]
