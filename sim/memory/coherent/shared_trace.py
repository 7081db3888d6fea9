"""Recorded accesses of several cores, as their programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sim.errors import SpecError
from sim.memory.cache.run import AddressTrace
from sim.memory.coherent.cache import Access, load, store
from sim.memory.coherent.core import Program
from sim.memory.coherent.monitor import WORD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedTrace:
    """Accesses with the core that makes each.

    Models: each core's own order.
    Ignores: the order between cores, which follows from what accesses cost; time between accesses.
    Source: none needed; a trace holds what was recorded.
    """

    accesses: AddressTrace
    by_core: npt.NDArray[np.int64]
    """Who makes each access, from 0."""

    def __post_init__(self) -> None:
        if len(self.by_core) != len(self.accesses):
            raise SpecError("a shared trace needs as many cores as addresses")
        if not len(self.by_core) or self.by_core.min() < 0:
            raise SpecError("a shared trace needs accesses, by cores counted from 0")

    @property
    def cores(self) -> int:
        """Cores up to the highest number."""
        return int(self.by_core.max()) + 1

    @classmethod
    def of(cls, addresses: Any, *, cores: Any, kinds: Any = 0, sizes: Any = WORD_BYTES) -> Self:
        """Build a trace from anything that numpy takes; one kind or size stands for all."""
        return cls(
            accesses=AddressTrace.of(addresses, kinds=kinds, sizes=sizes),
            by_core=np.ascontiguousarray(cores, dtype=np.int64),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an npz file as AddressTrace's, with `core` beside; SpecError if unusable."""
        accesses = AddressTrace.read(path)
        with np.load(path) as file:
            if "core" not in file.files:
                raise SpecError(f"{path}: a shared trace has `core` beside `addr`")
            by_core = file["core"].astype(np.int64)
        try:
            return cls(accesses=accesses, by_core=by_core)
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error

    def programs(self) -> list[Program]:
        """Each core's accesses in order, a word at a time; stores write their position."""
        return [self._program(core) for core in range(self.cores)]

    def _program(self, core: int) -> Program:
        trace = self.accesses
        for i in np.flatnonzero(self.by_core == core).tolist():
            first = int(trace.addresses[i])
            last = first + int(trace.sizes[i]) - 1
            for word in range(first // WORD_BYTES, last // WORD_BYTES + 1):
                yield self._access(word * WORD_BYTES, int(trace.kinds[i]), i)

    @staticmethod
    def _access(address: int, kind: int, position: int) -> Access:
        return store(address, position + 1) if kind else load(address)
