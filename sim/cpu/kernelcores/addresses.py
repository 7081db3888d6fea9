"""Which earlier store a load reads from: addresses as constants beyond what a register held."""

from __future__ import annotations

from sim.cpu.kernelcores.text import Address, KernelInstruction

Origin = tuple[str, int, int]
"""Register, and the instruction and iteration that last gave it an unknown value."""
Place = tuple[tuple[Origin, ...], int, int]
"""Origins of base and index, scale, bytes beyond."""


class Aliases:
    """Follows pointers through additions of constants.

    Models: a load that overlaps an earlier store through the same registers, iterations apart too.
    Ignores: that different base registers may point to the same memory; that a load which covers
    only part of a store, or more than it, cannot be forwarded.
    Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, 248966, section 2.4.4.4
    on store forwarding; Agner Fog, The microarchitecture of Intel, AMD and VIA CPUs.
    """

    def __init__(self) -> None:
        self.known: dict[str, tuple[Origin, int]] = {}
        self.stores: list[tuple[Place, int, int, int, int]] = []
        """Place, bytes, micro-op, instruction, iteration; the youngest last."""

    def step(self, instruction: KernelInstruction, number: int, iteration: int) -> None:
        """Take note of what an instruction does to the registers."""
        access = instruction.load or instruction.store
        for register in instruction.writes:
            origin, offset = self._value(register)
            if instruction.steps is not None:
                self.known[register] = origin, offset + instruction.steps
            else:
                self.known[register] = (register, number, iteration), 0
        if access is not None and access.post_increment is not None:
            origin, offset = self._value(access.registers[0])
            self.known[access.registers[0]] = origin, offset + access.post_increment

    def record(self, address: Address, micro_op: int, number: int, iteration: int) -> None:
        """Take note of a store."""
        self.stores.append((self.place(address), address.bytes, micro_op, number, iteration))

    def store_before(self, address: Address, number: int, iteration: int) -> tuple[int, int] | None:
        """Return micro-op and iteration of the youngest older store that overlaps a load."""
        origins, scale, offset = self.place(address)
        for (others, other_scale, start), size, micro_op, writer, when in reversed(self.stores):
            older = (when, writer) < (iteration, number)
            same = (others, other_scale) == (origins, scale)
            if older and same and start < offset + address.bytes and offset < start + size:
                return micro_op, when
        return None

    def _value(self, register: str) -> tuple[Origin, int]:
        return self.known.get(register, ((register, -1, -1), 0))

    def place(self, address: Address) -> Place:
        """Return where an address points as far as it is known."""
        origins: list[Origin] = []
        offset = address.offset
        for place, register in enumerate(address.registers):
            origin, steps = self._value(register)
            origins.append(origin)
            offset += steps * (address.scale if place else 1)
        return tuple(origins), address.scale, offset
