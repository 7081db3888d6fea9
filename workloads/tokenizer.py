"""Byte-pair encoding over characters, as glassllm's vocabulary files describe it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # stands for a space inside tokens
SPECIAL_TOKENS = ("<pad>", "<unk>", "<bos>", "<eos>")
UNKNOWN = SPECIAL_TOKENS.index("<unk>")
UNKNOWN_TEXT = "\N{DOUBLE QUESTION MARK}"  # what a token unknown to the vocabulary decodes to

# A newline, a word with the spaces before it, or spaces that no word follows: merges stay within.
_CHUNKS = re.compile(rf"\n|{SPACE}*[^{SPACE}\n]+|{SPACE}+")


class Tokenizer:
    """Text to token numbers and back."""

    def __init__(self, alphabet: Iterable[str], merges: Iterable[tuple[str, str]]) -> None:
        self._ranks = {(left, right): rank for rank, (left, right) in enumerate(merges)}
        joined = (left + right for left, right in self._ranks)
        self.tokens = (*SPECIAL_TOKENS, *alphabet, *joined)
        """Text of every token, by number."""
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        self._pieces = lru_cache(maxsize=4096)(self._merged)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a vocabulary: JSON with `alphabet` and `merges`, the earliest merge first."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(data["alphabet"], [(left, right) for left, right in data["merges"]])

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text; characters outside the alphabet become `<unk>`."""
        marked = unicodedata.normalize("NFC", text).replace(" ", SPACE)
        pieces = (piece for chunk in _CHUNKS.findall(marked) for piece in self._pieces(chunk))
        return [self._ids.get(piece, UNKNOWN) for piece in pieces]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers; padding, beginning and end leave no trace."""
        texts = (UNKNOWN_TEXT if number == UNKNOWN else self._text(number) for number in ids)
        return "".join(texts).replace(SPACE, " ")

    def _text(self, number: int) -> str:
        return "" if number < len(SPECIAL_TOKENS) else self.tokens[number]

    def _merged(self, chunk: str) -> tuple[str, ...]:
        """Join the pair that was learned first, everywhere, until no pair is known."""
        pieces = list(chunk)
        while known := [pair for pair in pairwise(pieces) if pair in self._ranks]:
            pieces = _joined(pieces, min(known, key=self._ranks.__getitem__))
        return tuple(pieces)


def _joined(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    rest = iter(range(len(pieces)))
    for i in rest:
        if tuple(pieces[i : i + 2]) == pair:
            joined.append(pair[0] + pair[1])
            next(rest)
        else:
            joined.append(pieces[i])
    return joined
