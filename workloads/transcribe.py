"""Speech to text with Whisper: sound, spectrogram, a greedy answer, its text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workloads.answer import Answer, answer
from workloads.array import Values
from workloads.audio import log_mel
from workloads.config import ModelError
from workloads.packages import WHISPER, package_file
from workloads.zoo import Model

START, WITHOUT_TIMES, END = "<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>"
FIRST_TIME = "<|0.00|>"  # this and all after it are times


class Vocabulary:
    """Whisper's tokens: pieces of text, and words between <| and |> that steer the model."""

    def __init__(
        self, tokens: Iterable[str], *, hidden: Iterable[int], first: Iterable[int]
    ) -> None:
        self.tokens = tuple(tokens)
        """Text of every token by number, each byte as one character (as in GPT-2)."""
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        self._bytes = {character: byte for byte, character in enumerate(byte_characters())}
        self.hidden = tuple(sorted({*hidden, *range(self[FIRST_TIME], len(self.tokens))}))
        """Tokens that a transcript without times never holds."""
        self.hidden_first = tuple(first)
        """Tokens that it does not begin with: silence."""

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Read vocabulary.txt, a token a line, and config.json of a CTranslate2 model's folder."""
        try:
            lines = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            hidden, first = config["suppress_ids"], config["suppress_ids_begin"]
            return cls(lines[: -1 if lines[-1] == "" else None], hidden=hidden, first=first)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder}: no vocabulary of Whisper's ({error!r})") from error

    def __getitem__(self, token: str) -> int:
        """Return the number of a token."""
        return self._numbers[token]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers, without the words that steer; broken characters are replaced."""
        end = self[END]
        text = "".join(self.tokens[number] for number in ids if number < end)
        return bytes(self._bytes[character] for character in text).decode(errors="replace")


def byte_characters() -> tuple[str, ...]:
    """Character that stands for each byte in GPT-2's vocabulary: its own, where it has a shape."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in shown else next(others)) for byte in range(0x100))


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What was heard."""

    text: str
    answer: Answer
    """The run, with its trace."""


def transcribe(model: Model, samples: Values, *, new_tokens: int | None = None) -> Transcript:
    """Write down speech, samples at 16 kHz of up to 30 s, greedily and without times.

    At most `new_tokens` tokens, by default half of the decoder's context, as published. ModelError
    where the package that holds the vocabulary is missing, or the model is not its.
    """
    vocabulary = Vocabulary.load(package_file(WHISPER, "vocabulary.txt").parent)
    config = model.config
    bins = getattr(config, "mel_bins", None)
    if bins is None or len(vocabulary.tokens) != config.vocab_size:
        raise ModelError(
            f"{model.name} does not fit Whisper's vocabulary of {len(vocabulary.tokens)} tokens; "
            f"use whisper-tiny.en"
        )
    frames = 2 * getattr(config, "source_positions", 0)
    run = answer(
        model,
        log_mel(samples, frames=frames, mel_bins=bins),
        new_tokens=config.max_position_embeddings // 2 if new_tokens is None else new_tokens,
        start_ids=(vocabulary[START], vocabulary[WITHOUT_TIMES]),
        stop_id=vocabulary[END],
        hidden=vocabulary.hidden,
        hidden_first=vocabulary.hidden_first,
    )
    ids = [] if run.token_ids is None else run.token_ids[0].tolist()
    return Transcript(text=vocabulary.decode(ids).strip(), answer=run)
