"""What every comparison with torch and transformers does. Imports torch: `make test-oracle` only.

The pattern: build a small model of a transformers class, fill it with weights drawn by `drawn.py`
under our names (a table of each family says which of torch's names they have), run both, compare.
What torch answered is kept in tests/fixtures/, where the everyday tests compare without torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from workloads.array import Values

FIXTURES = Path(__file__).parents[1] / "fixtures"

torch.set_num_threads(1)


def build(model_class: Any, config: Any) -> nn.Module:
    """Return a model of a transformers class, or of an Auto class: float32, plain attention."""
    make = getattr(model_class, "_from_config", None) or model_class.from_config
    return make(config, attn_implementation="eager", dtype=torch.float32).eval()


def fill(model: nn.Module, state: Mapping[str, Values]) -> None:
    """Give a model its weights, strictly: each parameter once, none left over, tied ones aside."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in state.items()}
    parameters = dict(model.named_parameters())  # a tied weight is listed once, by its first name
    assert set(parameters) == set(tensors), set(parameters) ^ set(tensors)
    with torch.no_grad():
        for name, parameter in parameters.items():
            assert parameter.shape == tensors[name].shape, (name, parameter.shape)
            parameter.copy_(tensors[name])


def linear(weight: Values) -> Values:
    """Return our [k, n] weight as torch's Linear [n, k]."""
    return weight.T


def answers(model: nn.Module, ids: Values, prompt_tokens: int) -> Values:
    """Logits [B, N, V] after the prompt and after each further token but the last, uncached."""
    with torch.no_grad():
        logits = model(torch.from_numpy(ids), use_cache=False).logits.numpy()  # [B, T, V]
    return logits[:, prompt_tokens - 1 : -1]


def cached_answers(model: nn.Module, ids: Values, prompt_tokens: int) -> Values:
    """Compute the same with torch's own key/value cache: one prefill, then a token a pass."""
    tokens = torch.from_numpy(ids)
    with torch.no_grad():
        step = model(tokens[:, :prompt_tokens], use_cache=True)
        logits = [step.logits[:, -1]]
        for at in range(prompt_tokens, ids.shape[1] - 1):
            step = model(
                tokens[:, at : at + 1], past_key_values=step.past_key_values, use_cache=True
            )
            logits.append(step.logits[:, -1])
    return torch.stack(logits, dim=1).numpy()


def save(name: str, **arrays: Any) -> Path:
    """Write a fixture tests/fixtures/NAME.npz; text is kept as text, nothing pickled."""
    path = FIXTURES / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def stored(name: str) -> dict[str, Values]:
    """Read a fixture."""
    with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
