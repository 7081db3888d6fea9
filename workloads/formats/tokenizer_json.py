"""The vocabularies of Hugging Face models: tokenizer.json, or BERT's older vocab.txt.

The package `tokenizers` (extra `models`) reads them: normalising, splitting and merging are as
many rules as there are families, and it is where they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workloads.config import ModelError

REMEDY = "the package tokenizers is not installed; make models, or pip install tokenizers"
SPECIAL_TOKENS = ("[CLS]", "[SEP]", "[UNK]")
"""What begins a text for BERT, what ends it, and what stands for the unknown."""


class JsonTokenizer:
    """Text to token numbers and back, as a model's own tokenizer.json says."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_padding()  # files fix both for their first use
        tokenizer.no_truncation()

    @classmethod
    def load(cls, path: Path, vocab_size: int) -> JsonTokenizer:
        """Read a tokenizer.json or vocab.txt for a model of `vocab_size` tokens.

        ModelError where it is no vocabulary, or knows tokens that the model does not.
        """
        if find_spec("tokenizers") is None:
            raise ModelError(f"{path}: {REMEDY}")
        tokenizer = _wordpiece(path) if path.suffix == ".txt" else _parsed(path)
        highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if not 0 <= highest < vocab_size:
            raise ModelError(
                f"{path}: has token numbers up to {highest}, the model a vocabulary of "
                f"{vocab_size}; give the tokenizer that belongs to the model"
            )
        return cls(tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text, with those that begin and end one where the model has them."""
        return list(self._tokenizer.encode(text).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers; special tokens leave no trace."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def vocabulary_file(folder: Path) -> Path | None:
    """Return the folder's file that holds its vocabulary; None where it has none."""
    files = (folder / name for name in ("tokenizer.json", "vocab.txt"))
    return next((path for path in files if path.is_file()), None)


def _parsed(path: Path) -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415 - optional

    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: not a tokenizer.json: {reason}; download it again") from error


def _wordpiece(path: Path) -> Any:
    """BERT's tokenizer of a vocab.txt: a token a line, its number the line's (Wu et al. 2016)."""
    from tokenizers import (  # noqa: PLC0415 - optional
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); download it again") from error
    numbers = {token: number for number, token in enumerate(lines)}
    for token in SPECIAL_TOKENS:
        if token not in numbers:
            raise ModelError(f"{path}: has no token {token}; only BERT's vocab.txt is known here")
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))  # noqa: S106 (a token)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=_lowercase(path))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    marks = [(token, numbers[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=marks
    )
    tokenizer.add_special_tokens([token for token in SPECIAL_TOKENS if token in numbers])
    return tokenizer


def _lowercase(path: Path) -> bool:
    """Whether the tokenizer_config.json beside a vocabulary says that capitals are lowered."""
    beside = path.with_name("tokenizer_config.json")
    if not beside.is_file():
        return True
    try:
        return bool(json.loads(beside.read_text(encoding="utf-8")).get("do_lower_case", True))
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{beside}: not valid JSON: {error}; download it again") from error
