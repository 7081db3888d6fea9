"""Rounding, factors and fused attention against torch's own."""

import numpy as np
import pytest
import torch

from workloads import Role, Tracer
from workloads.ops import fused
from workloads.rewrites.low_rank import factors
from workloads.rewrites.quantise import quantise, to_float8

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("e4m3", torch.float8_e4m3fn), ("e5m2", torch.float8_e5m2)]
)
def test_float8_holds_every_code_of_torch_and_rounds_as_it_does(
    kind: str, dtype: torch.dtype
) -> None:
    codes = torch.arange(256, dtype=torch.uint8).view(dtype).float().numpy()
    codes = codes[np.isfinite(codes)]
    assert (to_float8(codes, kind) == codes).all()
    spread = np.random.default_rng(0).standard_normal(20_000) * 2.0 ** np.random.default_rng(
        1
    ).integers(-18, 8, 20_000)
    x = np.clip(spread, -codes.max(), codes.max()).astype(np.float32)
    assert (to_float8(x, kind) == torch.tensor(x).to(dtype).float().numpy()).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_whole_numbers_are_those_of_torch(symmetric: bool) -> None:
    weight = np.random.default_rng(2).standard_normal((30, 7)).astype(np.float32)
    ours = quantise(weight, bits=8, per="channel", symmetric=symmetric)
    zeros = np.zeros((1, 7)) if ours.zero is None else ours.zero
    theirs = torch.fake_quantize_per_channel_affine(
        torch.tensor(weight),
        torch.tensor(ours.scale[0]),
        torch.tensor(zeros[0].astype(np.int32)),
        axis=1,
        quant_min=-127 if symmetric else -128,
        quant_max=127,
    ).numpy()
    steps = np.abs(ours.widened() - theirs) / ours.scale
    # torch multiplies by the reciprocal, which may decide a tie otherwise
    assert steps.max() < 1 + 1e-4
    assert (steps > 1e-4).mean() < 0.01


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_attention_by_tiles_is_that_of_torch(dtype: str, tolerance: float) -> None:
    random = np.random.default_rng(4)
    q, k, v = (random.standard_normal((2, 4, 13, 8)).astype(dtype) for _ in range(3))  # [B,H,T,D]
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.tensor(each) for each in (q, k, v)), is_causal=True
    ).numpy()
    tracer = Tracer(model="oracle", dtype=dtype, execute=True)
    query = q.transpose(0, 2, 1, 3).reshape(2, 13, 32)
    cached = {"k": k.transpose(2, 0, 1, 3), "v": v.transpose(2, 0, 1, 3)}
    for name, values in {"q": query, **cached}.items():
        tracer.declare(name, Role.WEIGHT, values.shape, values=lambda _, v=values: v)
    ours = fused.attention(
        tracer.get("q"), tracer.get("k"), tracer.get("v"), scale=8**-0.5, tile=5, name="fused"
    ).values.reshape(2, 13, 4, 8)
    assert np.abs(ours.transpose(0, 2, 1, 3) - expected).max() < tolerance


def test_factors_make_the_truncation_of_torch() -> None:
    weight = np.random.default_rng(5).standard_normal((14, 9))
    u, s, vh = torch.linalg.svd(torch.tensor(weight), full_matrices=False)
    expected = ((u[:, :4] * s[:4]) @ vh[:4]).numpy()
    left, right = factors(weight, 4)
    assert np.abs(left @ right - expected).max() < 1e-12
