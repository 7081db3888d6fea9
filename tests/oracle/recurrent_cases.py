"""Small recurrent networks that torch and we both run; no torch here."""

from typing import Any

LAYERS, WIDTH, BATCH, STEPS = 2, 6, 3, 5

CASES: dict[str, str] = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
"""Our cell -> torch.nn's class."""

WORDS = (
    *("hello", "world", "activationist", "transformer", "simulator", "cycle", "pipeline"),
    *("quixotic", "zyzzyva", "a", "antidisestablishmentarianism", "naïve", "o'clock", "mmmm"),
)
"""Known words, rare words, one longer than 20 phonemes, letters outside the alphabet."""


def description(cell: str) -> dict[str, Any]:
    """Describe the network of a case in our words; its vocabulary is as wide as its state."""
    return {
        "source": "drawn",
        "model_type": f"{cell}_lm",
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "vocab_size": WIDTH,
        "num_steps": STEPS,
    }
