"""What both engines say of a run: when each instruction was where, and where cycles went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.stalls import CycleStack

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When each instruction was where, in cycles from 0."""

    fetched: Ints
    renamed: Ints
    issued: Ints
    done: Ints
    retired: Ints
    stacks: tuple[CycleStack, ...]
    """Of each thread, every cycle until its end: busy where something retired, else why its oldest
    instruction did not."""

    @property
    def stack(self) -> CycleStack:
        """Of the thread that ends last: every cycle of the run."""
        return max(self.stacks, key=lambda stack: stack.total)
