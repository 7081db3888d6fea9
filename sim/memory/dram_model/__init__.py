"""DRAM command by command: standards as data, a controller, and its compiled twin."""

from sim.memory.dram_model.controller import ControllerSpec, PagePolicy, Refresh, Stop, simulate
from sim.memory.dram_model.device import DramDevice
from sim.memory.dram_model.mapping import MAPPINGS, AddressMapping
from sim.memory.dram_model.requests import DramResult, Requests
from sim.memory.dram_model.run import run_channels, run_dram
from sim.memory.dram_model.standard import DramStandard, load_device, load_standard, standard_names

__all__ = [
    "MAPPINGS",
    "AddressMapping",
    "ControllerSpec",
    "DramDevice",
    "DramResult",
    "DramStandard",
    "PagePolicy",
    "Refresh",
    "Requests",
    "Stop",
    "load_device",
    "load_standard",
    "run_channels",
    "run_dram",
    "simulate",
    "standard_names",
]
