"""Write tests/fixtures/recurrent/ anew: torch.nn's RNN, LSTM and GRU, and g2p-en's own code.

Each fixture of a cell holds torch's weights under torch's names, token rows (an embedding), a
prompt, and what torch makes of it: every step's output, and the states after the last.
"""

import importlib.machinery
import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from recurrent_cases import BATCH, CASES, LAYERS, STEPS, WIDTH, WORDS
from torch import nn

FIXTURES = Path(__file__).parents[1] / "fixtures" / "recurrent"

torch.set_num_threads(1)


def answers(cell: str) -> dict[str, Any]:
    """Weights, prompt and torch's numbers of a case; time leads, as torch has it by default."""
    torch.manual_seed(sorted(CASES).index(cell))
    network = getattr(nn, CASES[cell])(WIDTH, WIDTH, num_layers=LAYERS)
    embedding, head = nn.Embedding(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
    ids = torch.randint(WIDTH, (STEPS, BATCH))
    with torch.no_grad():
        output, state = network(embedding(ids))
        hidden, memory = state if cell == "lstm" else (state, state)
        logits = head(output)
    modules = {"embedding": embedding, "head": head, "network": network}
    weights = {
        f"{module}.{name}": value.detach().numpy()
        for module, parts in modules.items()
        for name, value in parts.named_parameters()
    }
    numbers = {"ids": ids, "output": output, "hidden": hidden, "cell": memory, "logits": logits}
    return weights | {name: value.numpy() for name, value in numbers.items()}


def pronunciations(folder: Path) -> dict[str, list[str]]:
    """What the package's own numpy code says of each word; what it needs beside numpy is absent."""
    for name in ("nltk", "nltk.corpus", "nltk.tokenize", "inflect"):
        sys.modules[name] = MagicMock()
    package = types.ModuleType("g2p_en")
    package.__path__ = [str(folder)]
    package.__spec__ = importlib.machinery.ModuleSpec("g2p_en", None, is_package=True)
    sys.modules["g2p_en"] = package
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        spoken = importlib.import_module("g2p_en.g2p").G2p()
        return {word: spoken.predict(word) for word in WORDS}


def package_folder() -> Path:
    """Folder of the installed package."""
    spec = importlib.machinery.PathFinder.find_spec("g2p_en")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("g2p-en; pip install --no-deps g2p-en==2.1.0")
    return Path(spec.origin).parent


def main() -> None:
    """Write all of them."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for cell in CASES:
        np.savez_compressed(FIXTURES / f"{cell}.npz", **answers(cell))
    said = pronunciations(package_folder())
    text = json.dumps(said, indent=1, ensure_ascii=False)
    (FIXTURES / "pronunciations.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
