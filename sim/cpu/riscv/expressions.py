"""Constant expressions of assembly text: numbers, symbols, C's operators, `%hi` and its kin."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sim.cpu.riscv.program import AssemblyError
from sim.errors import did_you_mean

_TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+[fb](?![\w.])|\d+|'(?:\\.|[^'\\])'"
    r"|%\w+|[A-Za-z_.$][\w.$]*|<<|>>|[-+*/%&|^~()])"
)
_BINARY: tuple[Mapping[str, Callable[[int, int], int]], ...] = (
    {"|": lambda a, b: a | b},
    {"^": lambda a, b: a ^ b},
    {"&": lambda a, b: a & b},
    {"<<": lambda a, b: a << b, ">>": lambda a, b: a >> b},
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": lambda a, b: int(a / b), "%": lambda a, b: a % b},
)
"""Operators from the loosest to the tightest."""
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0}


def high(value: int) -> int:
    """Return what `lui` must load so that `low` completes it."""
    return (value + 0x800) >> 12 & 0xFFFFF


def low(value: int) -> int:
    """Return a value's lower 12 bits, as the signed number that `addi` adds."""
    return (value & 0xFFF) - ((value & 0x800) << 1)


class Evaluator:
    """Evaluates expressions of one line.

    `lookup` gives a symbol's value, also of `1f` and `1b`, or None; `address` is the line's own.
    """

    def __init__(self, lookup: Callable[[str], int | None], address: int, where: str) -> None:
        self._lookup = lookup
        self._address = address
        self._where = where
        self._text = ""
        self._tokens: list[str] = []

    def value(self, text: str) -> int:
        """Return an expression's value; AssemblyError where it has none."""
        self._text, self._tokens = text, []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error(f"'{text}' is no expression at '{text[position:]}'")
            self._tokens.append(match[1])
            position = match.end()
        if not self._tokens:
            raise self._error("a number or symbol is missing")
        result = self._binary(0)
        if self._tokens:
            raise self._error(f"'{text}': '{self._tokens[0]}' is one too many")
        return result

    def _binary(self, level: int) -> int:
        if level == len(_BINARY):
            return self._unary()
        result = self._binary(level + 1)
        while self._tokens and self._tokens[0] in _BINARY[level]:
            operator = self._tokens.pop(0)
            right = self._binary(level + 1)
            if operator in "/%" and right == 0:
                raise self._error(f"'{self._text}' divides by zero")
            if operator in ("<<", ">>") and not 0 <= right < 64:
                raise self._error(f"'{self._text}' shifts by {right}; write 0 to 63")
            result = _BINARY[level][operator](result, right)
        return result

    def _unary(self) -> int:
        if not self._tokens:
            raise self._error(f"'{self._text}' ends too early")
        token = self._tokens.pop(0)
        if token in ("-", "+", "~"):
            inner = self._unary()
            return {"-": -inner, "+": inner, "~": ~inner}[token]
        if token == "(":  # noqa: S105 - no password
            inner = self._binary(0)
            self._close()
            return inner
        if token.startswith("%"):
            return self._relocated(token)
        if token.startswith("'"):
            inside = token[1:-1]
            return ord(inside) if len(inside) == 1 else _ESCAPES.get(inside[1], ord(inside[1]))
        if (token[0].isdigit() and token[-1] not in "fb") or token[:2].lower() in ("0x", "0b"):
            return int(token, 0 if token[:2].lower() in ("0x", "0b") else 10)
        value = self._lookup(token)
        if value is None:
            raise self._error(f"unknown symbol '{token}'; define the label, or pass its value")
        return value

    def _relocated(self, token: str) -> int:
        functions: Mapping[str, Callable[[int], int]] = {
            "%hi": high,
            "%lo": low,
            "%pcrel_hi": lambda value: high(value - self._address),
        }
        if token not in functions:
            raise self._error(f"unknown function '{token}'{did_you_mean(token, functions)}")
        if not self._tokens or self._tokens.pop(0) != "(":
            raise self._error(f"write {token}(symbol)")
        inner = self._binary(0)
        self._close()
        return functions[token](inner)

    def _close(self) -> None:
        if not self._tokens or self._tokens.pop(0) != ")":
            raise self._error(f"'{self._text}' lacks a ')'")

    def _error(self, problem: str) -> AssemblyError:
        return AssemblyError(f"{self._where}: {problem}")
