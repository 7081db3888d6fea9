"""Main memory as a program sees it: bytes by address, in pages that appear when touched."""

from __future__ import annotations

from collections.abc import Sequence

from sim.errors import TokenclockError

PAGE_BYTES = 4096


class ExecutionError(TokenclockError):
    """A program does what no program may; the message names the line."""


class Memory:
    """Sparse memory, little-endian.

    Models: regions that a program may touch; alignment; contents.
    Ignores: the bits of instructions: text cannot be read as data.
    Source: The RISC-V Instruction Set Manual, Volume I, section 1.4.

    With `lenient` every address is good, aligned or not, and untouched bytes are zero: for machines
    that compute wrong addresses on purpose.
    """

    def __init__(self, regions: Sequence[tuple[int, int]], *, lenient: bool = False) -> None:
        self.regions = tuple(regions)
        """First address and length of each."""
        self.lenient = lenient
        self._pages: dict[int, bytearray] = {}

    def check(self, address: int, size: int) -> None:
        """Raise ExecutionError where an access is misaligned or wild."""
        if self.lenient:
            return
        if address % size:
            raise ExecutionError(
                f"misaligned access of {size} bytes at {address:#x}; align the data"
            )
        if not any(begin <= address <= begin + length - size for begin, length in self.regions):
            known = ", ".join(f"{begin:#x} to {begin + n - 1:#x}" for begin, n in self.regions if n)
            raise ExecutionError(
                f"wild access of {size} bytes at {address:#x}; the program has {known or 'no data'}"
            )

    def read(self, address: int, size: int) -> int:
        """Return an unsigned number; ExecutionError as `check` says."""
        self.check(address, size)
        page, offset = divmod(address, PAGE_BYTES)
        if offset + size > PAGE_BYTES:
            return int.from_bytes(self.dump(address, size), "little")
        content = self._pages.get(page)
        return int.from_bytes(content[offset : offset + size], "little") if content else 0

    def write(self, address: int, size: int, value: int) -> None:
        """Store a number's lowest bytes; ExecutionError as `check` says."""
        self.check(address, size)
        self.fill(address, (value % (1 << 8 * size)).to_bytes(size, "little"))

    def dump(self, address: int, size: int) -> bytes:
        """Return bytes, wherever they are."""
        parts = []
        while size > 0:
            page, offset = divmod(address, PAGE_BYTES)
            length = min(size, PAGE_BYTES - offset)
            content = self._pages.get(page)
            parts.append(bytes(content[offset : offset + length]) if content else bytes(length))
            address, size = address + length, size - length
        return b"".join(parts)

    def fill(self, address: int, content: bytes) -> None:
        """Put bytes into memory, wherever that is."""
        begin = 0
        while begin < len(content):
            page, offset = divmod(address + begin, PAGE_BYTES)
            length = min(len(content) - begin, PAGE_BYTES - offset)
            if page not in self._pages:
                self._pages[page] = bytearray(PAGE_BYTES)
            self._pages[page][offset : offset + length] = content[begin : begin + length]
            begin += length
