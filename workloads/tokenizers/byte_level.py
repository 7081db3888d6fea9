"""Byte-pair encoding over bytes, each written as a printable character.

A text is cut at special tokens, then into digits, words and marks, and within such a piece the pair
of neighbours that was learned first is joined until none is known.

Source: Radford et al. 2019 (GPT-2) for bytes, pieces and merges; SmolLM2's tokenizer for digits,
each a piece of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from workloads.config import ModelError

_PIECES = re.compile(
    r"'(?:s|t|re|ve|m|ll|d)|[ ]?[A-Za-z]+|[ ]?[^A-Za-z \n]+|[ \n]+(?![^ \n])|[ \n]+"
)
"""GPT-2's pieces, over the classes that `_class_of` gives each character."""
_SEPARATORS = "\x1c\x1d\x1e\x1f"  # spaces to Python, not to Unicode's property White_Space


class ByteLevelTokenizer:
    """Text to token numbers and back."""

    def __init__(
        self, tokens: Sequence[str], merges: Iterable[str], special: Iterable[int], *, where: str
    ) -> None:
        """Take merges as pairs with a space between, the earliest first; `where` begins errors."""
        self.tokens = tuple(tokens)
        """Text of every token, by number, bytes as `byte_characters` writes them."""
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            raise ModelError(f"{where}: the vocabulary lists a token twice")
        self._special = frozenset(special)
        self._ranks = {}
        for rank, merge in enumerate(merges):
            left, _, right = merge.partition(" ")
            if left + right not in self._ids or not right:
                raise ModelError(f"{where}: merge {merge!r} makes no token of the vocabulary")
            self._ranks[left, right] = rank
        words = sorted((self.tokens[n] for n in self._special), key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, words)) + ")") if words else None
        self._byte_of = {char: byte for byte, char in enumerate(byte_characters())}
        self._merged = lru_cache(maxsize=4096)(self._numbers)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text; a byte that the vocabulary does not have is left out."""
        ids: list[int] = []
        for part in self._cut.split(text) if self._cut else [text]:
            number = self._ids.get(part)
            if number in self._special:
                ids.append(number)
            else:
                ids += [number for piece in pieces(part) for number in self._merged(piece)]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers; special tokens leave no trace, broken characters a mark."""
        kept = (self.tokens[number] for number in ids if number not in self._special)
        return bytes(self._byte_of[char] for token in kept for char in token).decode(
            "utf-8", errors="replace"
        )

    def _numbers(self, piece: str) -> tuple[int, ...]:
        characters = byte_characters()
        written = (characters[byte] for byte in piece.encode("utf-8", errors="replace"))
        symbols = [char for char in written if char in self._ids]
        while known := [pair for pair in pairwise(symbols) if pair in self._ranks]:
            symbols = list(_joined(symbols, min(known, key=self._ranks.__getitem__)))
        return tuple(self._ids[symbol] for symbol in symbols)


def pieces(text: str) -> Iterator[str]:
    """Cut a text into pieces that merges stay within: a digit, a word or marks with its space."""
    classes = "".join(map(_class_of, text))
    for run in re.finditer("0|[^0]+", classes):
        for piece in _PIECES.finditer(run.group()):
            start = run.start()
            yield text[start + piece.start() : start + piece.end()]


@lru_cache(maxsize=4096)
def _class_of(char: str) -> str:
    r"""One character for each class: letters, `0` numbers, ` ` a space, `\n` spaces, `.` others."""
    if char in " '" or (char.isascii() and char.isalpha()):
        return char
    if char.isspace() and char not in _SEPARATORS:
        return "\n"
    category = unicodedata.category(char)[0]
    return {"L": "L", "N": "0"}.get(category, ".")


@lru_cache(maxsize=1)
def byte_characters() -> str:
    """Return the character that stands for each byte: itself where it prints, else one past 255."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return "".join(chr(byte if byte in printing else next(others)) for byte in range(256))


def _joined(symbols: list[str], pair: tuple[str, str]) -> Iterator[str]:
    rest = iter(range(len(symbols)))
    for i in rest:
        if tuple(symbols[i : i + 2]) == pair:
            yield pair[0] + pair[1]
            next(rest)
        else:
            yield symbols[i]


class LazyTokenizer:
    """A vocabulary that is read when it is first asked, so that a model can be had without it."""

    def __init__(self, load: Callable[[], ByteLevelTokenizer]) -> None:
        self._load = lru_cache(maxsize=1)(load)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text."""
        return self._load().encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers."""
        return self._load().decode(ids)
