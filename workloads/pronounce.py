"""How a word is said: letters in, phonemes out, by the GRU encoder-decoder g2p-en.

Source: Park and Kim's g2p-en 2.1.0, trained on CMUdict; letters and phonemes are numbered as there.
"""

from __future__ import annotations

from string import ascii_lowercase

from workloads.architectures.recurrent_config import RecurrentConfig
from workloads.config import ModelError
from workloads.recur import recur
from workloads.zoo import Model

LETTERS = ("<pad>", "<unk>", "</s>", *ascii_lowercase)
"""What the encoder reads, by token number."""

_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
PHONEMES = (
    *("<pad>", "<unk>", "<s>", "</s>"),
    *sorted([*_CONSONANTS, "UW", *(vowel + stress for vowel in _VOWELS for stress in "012")]),
)
"""What the decoder says, by token number: the ARPAbet, vowels with their stress 0, 1 or 2."""


def spell(word: str) -> list[int]:
    """Token numbers of a word's letters; what is no letter becomes `<unk>`."""
    known = {letter: number for number, letter in enumerate(LETTERS)}
    return [known.get(letter, known["<unk>"]) for letter in word.lower()]


def pronounce(model: Model, word: str) -> list[str]:
    """Return the phonemes of a word, at most as many as the model was made to say.

    ModelError where the model's vocabularies are not letters and phonemes.
    """
    config = model.config
    vocabularies = (len(LETTERS), len(PHONEMES))
    if (
        not isinstance(config, RecurrentConfig)
        or (config.source_vocab_size, config.vocab_size) != vocabularies
    ):
        raise ModelError(f"{model.name} does not turn letters into phonemes; use g2p-en")
    run = recur(model, spell(word), new_tokens=config.max_position_embeddings)
    said = [] if run.token_ids is None else run.token_ids[0].tolist()
    end = said.index(config.end_token) if config.end_token in said else len(said)
    return [PHONEMES[number] for number in said[:end]]
