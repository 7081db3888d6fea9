"""Multicore memories as data files: read, checked, and settled into one `CoherenceSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from sim.errors import SpecError, did_you_mean
from sim.memory.coherent.cache import PrivateCacheSpec
from sim.memory.coherent.snooping import BusSpec
from sim.memory.coherent.system import CoherenceSpec
from sim.memory.coherent.wires import HomeSpec
from sim.memory.network.spec import Arbitration, NetworkSpec
from sim.memory.network.topology import Crossbar, Mesh, Ring, Topology
from sim.spec import Strict, read_spec_file, validate
from sim.units import Bytes

FOLDER = Path(__file__).parent / "systems"


class CacheFile(Strict):
    """Each core's cache; as PrivateCacheSpec."""

    sets: int
    ways: int
    line_bytes: Bytes
    hit_cycles: int
    store_buffer: int
    merged_stores: int = 1
    outer_cycles: int = 0


class BusFile(Strict):
    """A bus that all caches snoop, and the memory behind it; as BusSpec."""

    width_bytes: Bytes
    snoop_cycles: int
    memory_cycles: int


class NetworkFile(Strict):
    """A network with a core and a home at every node; as NetworkSpec."""

    shape: Literal["crossbar", "ring", "mesh"]
    columns: int | None = None
    """Of a mesh; its rows follow from the cores."""
    flit_bytes: Bytes
    width_bytes: Bytes
    router_cycles: int
    link_cycles: int
    credit_cycles: int
    buffer_flits: int
    arbitration: Arbitration


class HomeFile(Strict):
    """The directory and the memory at each node; as HomeSpec."""

    lookup_cycles: int
    memory_cycles: int
    message_bytes: Bytes


class MulticoreSpec(Strict):
    """A multicore memory's file."""

    name: str
    title: str
    kind: Literal["chip", "teaching"]
    description: str
    sources: Mapping[str, str]
    cores: int = Field(ge=1)
    protocol: Literal["MESI", "MOESI"]
    cache: CacheFile
    bus: BusFile | None = None
    """A file has a bus, or a network and its homes."""
    network: NetworkFile | None = None
    home: HomeFile | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.bus is None) == (self.network is None):
            raise ValueError("cores need `bus:` or `network:`, and not both")
        if (self.home is None) != (self.network is None):
            raise ValueError("`home:` goes with `network:`; a bus has its memory itself")
        self.coherence()
        return self

    @property
    def fabric(self) -> str:
        """What joins the cores, in a word."""
        return self.network.shape if self.network else "bus"

    def coherence(self) -> CoherenceSpec:
        """Settle it; ValueError for numbers that make no machine."""
        cache = PrivateCacheSpec(**self.cache.model_dump())
        if self.bus:
            bus = BusSpec(**self.bus.model_dump())
            return CoherenceSpec(fabric=bus, protocol=self.protocol, cache=cache)
        if self.network is None or self.home is None:
            raise ValueError("cores need `bus:`, or `network:` and `home:`")
        given = self.network.model_dump(include={field.name for field in fields(NetworkSpec)})
        return CoherenceSpec(
            fabric=NetworkSpec(topology=self._topology(self.network), **given),
            protocol=self.protocol,
            cache=cache,
            home=HomeSpec(**self.home.model_dump()),
        )

    def _topology(self, network: NetworkFile) -> Topology:
        if (network.shape == "mesh") != (network.columns is not None):
            raise ValueError("`columns:` goes with a mesh, and a mesh with `columns:`")
        if network.columns is not None:
            if network.columns < 1 or self.cores % network.columns:
                raise ValueError(f"{self.cores} cores fill no rows of {network.columns} columns")
            return Mesh(network.columns, self.cores // network.columns)
        return Ring(self.cores) if network.shape == "ring" else Crossbar(self.cores)


def system_names() -> list[str]:
    """Names of the multicore memories that come with the simulator."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_system(name: str) -> MulticoreSpec:
    """Read a multicore memory by its name, or a YAML file; SpecError names file, key and nearest.

    A file is told by its suffix `.yaml`.
    """
    if name.endswith(".yaml"):
        path = Path(name)
    elif name in system_names():
        path = FOLDER / f"{name}.yaml"
    else:
        raise SpecError(f"no system is named '{name}'{did_you_mean(name, system_names())}")
    return validate(MulticoreSpec, read_spec_file(path).values, path)
