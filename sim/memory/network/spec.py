"""What an on-chip network is: its shape, its channels, its buffers and its turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.memory.network.topology import Topology

Arbitration = Literal["flow", "port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network's shape and times; ValueError where a number makes no network."""

    topology: Topology
    flit_bytes: int = 16
    """The unit of buffers and credits."""
    width_bytes: int = 16
    """What a channel carries a cycle; a flit wider than that takes several cycles."""
    router_cycles: int = 1
    """From a buffer's input to the channel out, at each router."""
    link_cycles: int = 1
    """Along a channel's wires."""
    credit_cycles: int = 1
    """From a flit's leaving until the sender before knows of the free place."""
    buffer_flits: int = 8
    """Places of each input buffer: of each flow's, or of each port's and lane's."""
    arbitration: Arbitration = "flow"
    """`flow`: a buffer for each (source, target), turns flit by flit: shares are max-min fair.
    `port`: a buffer for each input port and lane, turns packet by packet (wormhole): a packet may
    wait behind one that is blocked, and a flow that joins late gets more than one that joined
    early."""

    def __post_init__(self) -> None:
        least = {
            "flit_bytes": 1,
            "width_bytes": 1,
            "router_cycles": 0,
            "link_cycles": 1,
            "credit_cycles": 1,
            "buffer_flits": 1,
        }
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least {bound}")
        if self.arbitration not in ("flow", "port"):
            raise ValueError(f"arbitration is '{self.arbitration}', must be 'flow' or 'port'")

    @property
    def flit_cycles(self) -> int:
        """Cycles for which a flit occupies a channel."""
        return -(-self.flit_bytes // self.width_bytes)

    def flits(self, payload_bytes: int) -> int:
        """Flits of a packet; an empty one still has a head."""
        return max(1, -(-payload_bytes // self.flit_bytes))
