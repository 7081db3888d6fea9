"""Training here against torch: every gradient rule, the optimisers, whole training runs."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from gradient_cases import CASES, HEADS, IDS, KV_HEADS, SIZE, TARGETS, TOKENS, TURNS, numbers
from gradient_cases import our_gradients as ours_of
from make_training import FIXTURE, answers
from torch import Tensor
from torch.nn import functional

GROUP = HEADS // KV_HEADS


def turned(x: Tensor, interleaved: bool) -> Tensor:
    """Multiply pairs, as complex numbers, by e^(i angle)."""
    batch, tokens, _ = x.shape
    heads = x.reshape(batch, tokens, HEADS, SIZE)
    if interleaved:
        pairs = torch.view_as_complex(heads.reshape(batch, tokens, HEADS, SIZE // 2, 2))
    else:
        pairs = torch.complex(heads[..., : SIZE // 2], heads[..., SIZE // 2 :])
    angles = torch.arange(5, 5 + tokens).double()[:, None, None] * torch.tensor(
        TURNS, dtype=torch.float64
    )
    pairs = pairs * torch.polar(torch.ones_like(angles), angles)
    if interleaved:
        return torch.view_as_real(pairs).reshape(x.shape)
    return torch.cat([pairs.real, pairs.imag], dim=-1).reshape(x.shape)


def masked(x: Tensor, window: int | None = None, softcap: float | None = None) -> Tensor:
    x = x * 0.7
    if softcap is not None:
        x = softcap * torch.tanh(x / softcap)
    ones = torch.ones(TOKENS, TOKENS, dtype=torch.bool)
    seen = ones.tril() if window is None else ones.tril() & ones.triu(1 - window)
    return x.masked_fill(~seen.repeat(GROUP, 1), -torch.inf).softmax(dim=-1)


def sloped(x: Tensor) -> Tensor:
    """ALiBi: slope 2^(-8 h / n) of head h from 1 to n, times the distance back."""
    slopes = torch.tensor([2.0 ** (-8 * (h + 1) / HEADS) for h in range(HEADS)]).double()
    away = (torch.arange(TOKENS)[None, :] - torch.arange(TOKENS)[:, None]).double()
    bias = (slopes.reshape(KV_HEADS, GROUP, 1, 1) * away).reshape(KV_HEADS, -1, TOKENS)
    return masked((x * 0.7 + bias) / 0.7)


def grouped(x: Tensor) -> Tensor:
    """[B, T, H*D] -> [B, K, G*T, D]."""
    heads = x.reshape(x.shape[0], TOKENS, KV_HEADS, GROUP, SIZE)
    return heads.permute(0, 2, 3, 1, 4).reshape(x.shape[0], KV_HEADS, -1, SIZE)


def mixed(w: Tensor, v: Tensor, q: Tensor) -> Tensor:
    out = torch.einsum("bkrs,sbkd->bkrd", w, v)
    return out.reshape(q.shape[0], HEADS, TOKENS, SIZE).transpose(1, 2).reshape(q.shape) + 0 * q


def rms(x: Tensor, w: Tensor) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:], w, eps=1e-2)


def tanh_gelu(x: Tensor) -> Tensor:
    return functional.gelu(x, approximate="tanh")


TARGET = torch.from_numpy(TARGETS)

THEIRS: Mapping[str, Callable[..., Tensor]] = {
    "matmul": lambda x, w: x @ w,
    "matmul transposed": lambda x, w: x @ w.T,
    "add": lambda x, y: x + y,
    "add a bias": lambda x, y: x + y,
    "add rows": lambda x, y: x + y,
    "add to itself": lambda x: x + x,
    "scale": lambda x: 1.7 * x,
    "embedding": lambda t: functional.embedding(torch.from_numpy(IDS), t),
    "layernorm": lambda x, w, b: functional.layer_norm(x, x.shape[-1:], w, b, eps=1e-2),
    "rmsnorm": rms,
    "rmsnorm of 1 + weight": lambda x, w: rms(x, 1 + w),
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_new": tanh_gelu,
    "relu": functional.relu,
    "gated silu": lambda g, u: functional.silu(g) * u,
    "gated gelu": lambda g, u: functional.gelu(g) * u,
    "gated gelu_new": lambda g, u: tanh_gelu(g) * u,
    "gated relu": lambda g, u: functional.relu(g) * u,
    "softcap": lambda x: 0.8 * torch.tanh(x / 0.8),
    "rope of halves": lambda x: turned(x, interleaved=False),
    "rope of neighbours": lambda x: turned(x, interleaved=True),
    "cache append": lambda x: x.reshape(*x.shape[:2], KV_HEADS, SIZE).transpose(0, 1),
    "attention scores": lambda q, k: torch.einsum("bkrd,sbkd->bkrs", grouped(q), k),
    "softmax": masked,
    "softmax of all": lambda x: (x * 0.7).softmax(dim=-1),
    "softmax in a window": lambda x: masked(x, window=2),
    "softmax of bent scores": lambda x: masked(x, softcap=1.3),
    "softmax with alibi": sloped,
    "attention mix": mixed,
    "cross entropy": lambda x: functional.cross_entropy(
        x.flatten(0, 1), TARGET.abs().remainder(5).flatten()
    ),
    "masked cross entropy": lambda x: functional.cross_entropy(
        x.flatten(0, 1), TARGET.flatten(), ignore_index=-100
    ),
    "squared error": lambda x: functional.mse_loss(x, fixed(x)),
}


def fixed(y: Tensor) -> Tensor:
    return torch.from_numpy(np.random.default_rng(7).standard_normal(tuple(y.shape)))


def test_every_rule_is_compared() -> None:
    assert set(THEIRS) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_gives_what_autograd_gives(name: str) -> None:
    case = CASES[name]
    inputs = numbers(name, case.shapes)
    tensors = [torch.from_numpy(values.copy()).requires_grad_() for values in inputs]
    y = THEIRS[name](*tensors)
    loss = y if case.is_loss else functional.mse_loss(y, fixed(y))
    loss.backward()
    _, ours = ours_of(case, inputs)
    for gradient, tensor in zip(ours, tensors, strict=True):
        theirs = tensor.grad.numpy()
        assert np.abs(gradient - theirs).max() <= 1e-12 * max(1, np.abs(theirs).max())


def test_the_fixture_is_what_torch_answers() -> None:
    found = answers()
    with np.load(FIXTURE, allow_pickle=False) as stored:
        assert set(stored.files) == set(found)
        for name in stored.files:
            assert np.abs(stored[name] - found[name]).max() <= 1e-10
