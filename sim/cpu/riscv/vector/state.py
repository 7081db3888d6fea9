"""Vector registers and the configuration that instructions work under."""

from __future__ import annotations

from collections.abc import Iterator

from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.vector.configuration import VectorType, check_vlen, decode_vtype
from sim.cpu.riscv.vector.operands import VectorOperands

VECTOR_REGISTERS = 32


class VectorState:
    """Thirty-two vector registers, the vector length and type.

    Models: VLEN from 32 to 1024 bits; ELEN of 64 bits, or VLEN where that is less; an AVL above
    VLMAX gives VLMAX elements; tail and masked elements stay as they are, agnostic or not.
    Ignores: vstart, fixed-point rounding and saturation, half precision.
    Source: The RISC-V "V" Vector Extension, version 1.0, sections 3 and 6.
    """

    def __init__(self, *, vlen_bits: int, xlen: int) -> None:
        """Begin with zeroed registers and an invalid vtype; SpecError for a wrong length."""
        self.vlen_bits = check_vlen(vlen_bits)
        self.xlen = xlen
        self.content = bytearray(VECTOR_REGISTERS * self.register_bytes)
        """Of v0, then v1, and so on."""
        self.length = 0
        """The `vl` register."""
        self.vtype = 1 << (xlen - 1)
        """The `vtype` register; its highest bit says that it is invalid."""
        self.type: VectorType | None = None
        """What `vtype` says, None while it is invalid."""

    @property
    def register_bytes(self) -> int:
        """The `vlenb` register."""
        return self.vlen_bits // 8

    def configure(self, vtype: int, wanted: int | None) -> int:
        """Set type and length; return the length. Without a wanted length, keep the old one."""
        made = decode_vtype(vtype, self.vlen_bits)
        if made is None:
            self.vtype, self.type, self.length = 1 << (self.xlen - 1), None, 0
            return 0
        most = made.elements(self.vlen_bits)
        if wanted is None:
            if self.type is None or self.type.elements(self.vlen_bits) != most:
                raise ExecutionError(
                    f"vl is to stay, but {made} has another number of elements; "
                    "write a length or a destination"
                )
            wanted = self.length
        self.vtype, self.type, self.length = vtype, made, min(wanted, most)
        return self.length

    def valid_type(self) -> VectorType:
        """Return the type; ExecutionError while it is invalid."""
        if self.type is None:
            raise ExecutionError(
                f"vtype is invalid; set one that registers of {self.vlen_bits} bits support, as "
                "by `vsetvli t0, a0, e32, m1, ta, ma`"
            )
        return self.type

    def _place(self, register: int, index: int, bits: int) -> int:
        return register * self.register_bytes + index * bits // 8

    def element(self, register: int, index: int, bits: int) -> int:
        """Return an element of the group that begins at a register, unsigned."""
        place = self._place(register, index, bits)
        return int.from_bytes(self.content[place : place + bits // 8], "little")

    def set_element(self, register: int, index: int, bits: int, value: int) -> None:
        """Set an element of the group that begins at a register."""
        place = self._place(register, index, bits)
        self.content[place : place + bits // 8] = (value % (1 << bits)).to_bytes(
            bits // 8, "little"
        )

    def bit(self, register: int, index: int) -> int:
        """Return a bit of a mask."""
        return self.content[register * self.register_bytes + index // 8] >> index % 8 & 1

    def set_bit(self, register: int, index: int, value: int) -> None:
        """Set a bit of a mask."""
        place, one = register * self.register_bytes + index // 8, 1 << index % 8
        self.content[place] = self.content[place] & ~one | one * value

    def active(self, operands: VectorOperands, length: int | None = None) -> Iterator[int]:
        """Give the places of the elements that take part."""
        for index in range(self.length if length is None else length):
            if not operands.masked or self.bit(0, index):
                yield index
