"""Vector operands of one instruction."""

from __future__ import annotations

from dataclasses import dataclass

NONE = -1
"""Where an instruction has no such operand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorOperands:
    """Vector registers by their fields in the encoding, each 0 to 31 or NONE."""

    vd: int = NONE
    """Written; of a store, what is stored."""
    vs1: int = NONE
    vs2: int = NONE
    masked: bool = False
    """Whether only elements whose bit in v0 is set take part."""

    @property
    def names(self) -> tuple[str, ...]:
        """The registers as a disassembler writes them."""
        held = (self.vd, self.vs2, self.vs1)
        words = [f"v{register}" for register in held if register != NONE]
        return (*words, "v0.t") if self.masked else tuple(words)
