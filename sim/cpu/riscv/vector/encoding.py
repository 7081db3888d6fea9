"""Vector operands of one instruction: read by the letters of its table row, ranges checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sim.cpu.riscv.program import AssemblyError
from sim.cpu.riscv.vector.configuration import (
    GROUPINGS,
    MASK_AGNOSTIC,
    TAIL_AGNOSTIC,
    WIDTHS,
)
from sim.cpu.riscv.vector.operands import VectorOperands
from sim.cpu.riscv.vector.operation import VectorOperation
from sim.errors import did_you_mean

_FIELDS = {"V": "vd", "W": "vd", "v": "vs2", "w": "vs1"}
_POLICIES = {"ta": TAIL_AGNOSTIC, "tu": 0, "ma": MASK_AGNOSTIC, "mu": 0}
_LENGTH_BITS = 5
"""Of the length in `vsetivli`; the vtype stands above it in the immediate."""
_LARGEST_VTYPE = 0x7FF


class VectorReader:
    """Takes the vector operands out of a line and leaves the scalar ones."""

    def __init__(
        self,
        mnemonic: str,
        operation: VectorOperation,
        *,
        where: str,
        value: Callable[[str], int],
    ) -> None:
        self.mnemonic = mnemonic
        self.operation = operation
        self.where = where
        self.value = value
        self.letters = ""
        """Of the scalar operands."""
        self.texts: list[str] = []
        """The scalar operands."""
        self.immediate = 0
        self.fields: dict[str, int] = {}

    def read(self, texts: Sequence[str]) -> VectorOperands:
        """Read a line's operands; AssemblyError names line and remedy."""
        letters, words = self.operation.operands, list(texts)
        masked = letters.endswith("M")
        letters = letters.removesuffix("M")
        if letters.endswith("t"):
            words[len(letters) - 1 :] = [",".join(words[len(letters) - 1 :])]
        takes_mask = masked and len(words) == len(letters) + 1
        if takes_mask and words.pop().lower() != "v0.t":
            raise self._error("takes v0.t as its mask, and no other operand there")
        if len(words) != len(letters):
            raise self._error(f"takes {len(letters)} operands, not {len(words)}")
        for letter, word in zip(letters, words, strict=True):
            self._take(letter, word)
        return VectorOperands(**self.fields, masked=takes_mask)

    def _take(self, letter: str, word: str) -> None:
        if letter in _FIELDS:
            self.fields[_FIELDS[letter]] = self._register(word)
        elif letter == "n":
            if self._register(word):
                raise self._error(f"takes v0 as its mask, not '{word}'")
        elif letter == "q":
            self.immediate = self._within(self.value(word), -16, 15)
        elif letter == "z":
            self.immediate = self._within(self.value(word), 0, 31)
        elif letter == "t":
            above = _LENGTH_BITS if self.operation.operands == "dzt" else 0
            self.immediate |= self._vtype(word) << above
        else:
            self.letters += letter
            self.texts.append(word)

    def _register(self, word: str) -> int:
        match = re.fullmatch(r"v(\d|[12]\d|3[01])", word.lower())
        if match is None:
            hint = did_you_mean(word.lower(), [f"v{n}" for n in range(32)])
            raise self._error(f"needs a vector register v0 to v31, not '{word}'{hint}")
        return int(match[1])

    def _vtype(self, text: str) -> int:
        words = [word.strip().lower() for word in text.split(",")]
        if re.fullmatch(r"\d\w*", words[0]):
            return self._within(self.value(text), 0, _LARGEST_VTYPE)
        known = [*WIDTHS, *GROUPINGS, *_POLICIES]
        for word in words:
            if word not in known:
                raise self._error(f"has no '{word}' in its vtype{did_you_mean(word, known)}")
        kinds = (WIDTHS, GROUPINGS, ("ta", "tu"), ("ma", "mu"))
        order = [next(n for n, kind in enumerate(kinds) if word in kind) for word in words]
        if order[:1] != [0] or order != sorted(set(order)):
            raise self._error("takes a vtype such as `e32, m1, ta, ma`, in this order")
        policies = sum(_POLICIES.get(word, 0) for word in words)
        grouping = next((GROUPINGS[word] for word in words if word in GROUPINGS), 0)
        return WIDTHS[words[0]] << 3 | grouping | policies

    def _within(self, number: int, least: int, most: int) -> int:
        if not least <= number <= most:
            raise self._error(f"takes a number from {least} to {most}, not {number}")
        return number

    def _error(self, problem: str) -> AssemblyError:
        return AssemblyError(f"{self.where}: '{self.mnemonic}' {problem}")
