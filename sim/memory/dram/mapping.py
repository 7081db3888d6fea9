"""Where an address lies in a channel: bank, row and column, by named orders of its bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.errors import SpecError, did_you_mean
from sim.memory.dram.device import DramDevice

Ints = npt.NDArray[np.int64]

CHUNK_BITS = 2
"""MOP4CLXOR keeps four transfers together before it goes on to the next bank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Banks, rows and columns of many addresses."""

    banks: Ints
    """Counted through the channel's tree."""
    rows: Ints
    columns: Ints
    """In transfers."""


class _Slicer:
    """Takes fields from the low end of many numbers."""

    def __init__(self, numbers: Ints) -> None:
        self.rest = numbers

    def take(self, bits: int) -> Ints:
        """Return the next `bits` bits."""
        field = self.rest & ((1 << bits) - 1)
        self.rest = self.rest >> bits
        return field


def row_bank_rank_column(device: DramDevice, transfers: Ints) -> Places:
    """From the low end: column, then the tree's levels from the rank down, then the row."""
    slicer = _Slicer(transfers)
    columns = slicer.take(_bits(device.columns))
    fields = [slicer.take(_bits(count)) for count in device.counts[1:]]
    return Places(banks=_bank(device, fields), rows=slicer.rest, columns=columns)


def four_transfers_xor(device: DramDevice, transfers: Ints) -> Places:
    """From the low end: two column bits, the levels, the other column bits, the row.

    Each level's number is then crossed (exclusive or) with column bits, other ones for each level;
    column bits that are left over cross the row.
    """
    if _bits(device.columns) < CHUNK_BITS:
        raise SpecError(f"{device.name}: MOP4CLXOR needs rows of four transfers or more")
    slicer = _Slicer(transfers)
    columns = slicer.take(CHUNK_BITS)
    fields = [slicer.take(_bits(count)) for count in device.counts[1:]]
    columns = columns | slicer.take(_bits(device.columns) - CHUNK_BITS) << CHUNK_BITS
    crossing = _Slicer(columns)
    fields = [
        field ^ crossing.take(_bits(count))
        for field, count in zip(fields, device.counts[1:], strict=True)
    ]
    return Places(banks=_bank(device, fields), rows=slicer.rest ^ crossing.rest, columns=columns)


MAPPINGS: Mapping[str, Callable[[DramDevice, Ints], Places]] = {
    "RoBaRaCoCh": row_bank_rank_column,
    "MOP4CLXOR": four_transfers_xor,
}


class AddressMapping:
    """The order of an address's bits.

    Models: channels taken in turn by transfers, any number of them; two orders within a channel.
    Ignores: bank hashing by row bits; sizes within a channel that are no powers of two.
    Source: Kaseridis et al., Minimalist Open-Page, MICRO 2011 (MOP); the names and orders are those
    of Ramulator 2.1.
    """

    def __init__(self, device: DramDevice, name: str, *, channels: int = 1) -> None:
        if name not in MAPPINGS:
            raise SpecError(f"no address mapping is named '{name}'{did_you_mean(name, MAPPINGS)}")
        self.device = device
        self.channels = channels
        self._map = MAPPINGS[name]
        self._offset_bits = _bits(device.transfer_bytes)
        if channels < 1:
            raise SpecError(f"a memory of {channels} channels holds nothing; give 1 or more")

    def transfers(self, addresses: Ints) -> tuple[Ints, Ints]:
        """Return the channel of each byte address, and which of the channel's transfers it is."""
        transfers = np.asarray(addresses, dtype=np.int64) >> self._offset_bits
        return transfers % self.channels, transfers // self.channels

    def places(self, transfers: Ints) -> Places:
        """Return where a channel's transfers lie."""
        return self._map(self.device, transfers)


def _bank(device: DramDevice, fields: list[Ints]) -> Ints:
    """Count banks through the tree."""
    bank = np.zeros_like(fields[0])
    for field, count in zip(fields, device.counts[1:], strict=True):
        bank = bank * count + field
    return bank


def _bits(size: int) -> int:
    """Return log2 of a size; SpecError where it is no power of two."""
    if size < 1 or size & (size - 1):
        raise SpecError(f"an address cannot be cut into {size} parts: no power of two")
    return size.bit_length() - 1
