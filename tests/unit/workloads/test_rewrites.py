"""Rewritten models: what they are made of, that they run as any other, and what they refuse."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from workloads import Model, ModelError, Role, Tensor, Tracer, generate, load_model, parameter_count
from workloads.architectures.rewritten_config import Rewrite
from workloads.decoding.ragged import answer_batch
from workloads.ops import quantised
from workloads.ops.sparse import spread
from workloads.rewrites import (
    Distil,
    Float8,
    FuseAttention,
    FuseBiasActivation,
    FuseQkv,
    FuseResidualNorm,
    LowRank,
    PruneColumns,
    PruneHeads,
    PruneTwoOfFour,
    PruneWeights,
    Quantise,
    QuantiseActivations,
    QuantiseCache,
    rewrite,
)
from workloads.rewrites.low_rank import factors
from workloads.rewrites.prune import two_of_four

LISTS: dict[str, Sequence[Rewrite]] = {
    "int8": [Quantise()],
    "int4-groups": [Quantise(bits=4, per="group", group=3, symmetric=False)],
    "int8-activations": [Quantise(per="tensor"), QuantiseActivations()],
    "fp8": [Float8(kind="e5m2", per="group", group=8)],
    "int8-cache": [QuantiseCache()],
    "int4-cache": [QuantiseCache(bits=4)],
    "zeros": [PruneWeights(share=0.4)],
    "2of4": [PruneTwoOfFour()],
    "heads": [PruneHeads(keep=1)],
    "columns": [PruneColumns(keep=7)],
    "rank": [LowRank(rank=3)],
    "layers": [Distil(layers=2)],
    "one-layer": [Distil(layers=1), FuseResidualNorm()],
    "qkv": [FuseQkv()],
    "residual-norm": [FuseResidualNorm()],
    "attention": [FuseAttention(tile=2)],
    "int8-activations-int4-cache": [Quantise(), QuantiseActivations(), QuantiseCache(bits=4)],
    "all": [
        Distil(layers=2),
        PruneHeads(keep=1),
        FuseQkv(),
        FuseResidualNorm(),
        LowRank(rank=4, where="mlp.*"),
        Quantise(),
        QuantiseActivations(),
        QuantiseCache(),
    ],
}

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture(params=["tiny_gpt2", "tiny_llama"])
def small(request: pytest.FixtureRequest) -> Model:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", LISTS)
def test_shape_only_gives_the_digest_of_the_executed_run(small: Model, name: str) -> None:
    model = rewrite(small, LISTS[name])
    executed = generate(model, prompt_tokens=5, new_tokens=4, batch=2)
    shaped = generate(model, prompt_tokens=5, new_tokens=4, batch=2, execute=False)
    assert shaped.trace == executed.trace
    assert shaped.trace.digest() == executed.trace.digest()
    assert np.isfinite(executed.logits).all()


@pytest.mark.parametrize("name", LISTS)
def test_decode_with_a_cache_equals_recomputation_without(small: Model, name: str) -> None:
    model = rewrite(small, LISTS[name])
    run = generate(model, [3, 1, 4], new_tokens=4, dtype="float64")
    whole = [3, 1, 4, *run.token_ids[0, :-1]]
    again = generate(model, whole, new_tokens=1, dtype="float64")
    assert np.abs(again.logits[0, 0] - run.logits[0, -1]).max() < 1e-12


@pytest.mark.parametrize("name", ["qkv", "residual-norm", "attention"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_fused_model_gives_the_logits_of_the_unfused(small: Model, name: str, dtype: str) -> None:
    require_equal(small, rewrite(small, LISTS[name]), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_bias_fused_with_its_activation_changes_no_logit(tiny_gpt2: Model, dtype: str) -> None:
    require_equal(tiny_gpt2, rewrite(tiny_gpt2, [FuseBiasActivation()]), dtype)


def require_equal(model: Model, fused: Model, dtype: str) -> None:
    prompts = [[3, 1, 4], [1, 5, 9]]
    runs = [generate(m, prompts, new_tokens=5, batch=2, dtype=dtype) for m in (model, fused)]
    error = np.abs(runs[1].logits - runs[0].logits).max() / np.abs(runs[0].logits).max()
    assert error < TOLERANCE[dtype]
    assert runs[1].trace.op_count < runs[0].trace.op_count


def named(model: Model, **request: Any) -> dict[str, Tensor]:
    asked = {"prompt_tokens": 5, "new_tokens": 3, "execute": False} | request
    return {tensor.name: tensor for tensor in generate(model, **asked).trace.tensors}


def total(model: Model, dtype: str = "float32") -> int:
    return sum(t.total_bytes for t in named(model, dtype=dtype).values() if t.role is Role.WEIGHT)


PRODUCTS = {  # of the tiny Llama: [k, n] of a layer's products, three layers; and the head
    "attention.query": (16, 16),
    "attention.key": (16, 8),
    "attention.value": (16, 8),
    "attention.output": (16, 16),
    "mlp.up": (16, 20),
    "mlp.gate": (16, 20),
    "mlp.down": (20, 16),
}
OTHERS = 50 * 16 + 3 * 2 * 16 + 16  # token rows; two norms a layer and the last


def in_all(count: Callable[[int, int], int]) -> int:
    return 3 * sum(count(k, n) for k, n in PRODUCTS.values()) + count(16, 50)


@pytest.mark.parametrize(
    ("rewrites", "each"),
    [
        ([Quantise()], lambda k, n: k * n + 4 * n),
        ([Quantise(per="tensor")], lambda k, n: k * n + 4),
        ([Quantise(symmetric=False)], lambda k, n: k * n + 5 * n),
        ([Quantise(bits=4)], lambda k, n: k * n // 2 + 4 * n),
        (
            [Quantise(bits=4, per="group", group=8, symmetric=False)],
            lambda k, n: k * n // 2 + -(-k // 8) * (4 * n) + -(-(-(-k // 8) * n) // 2),
        ),
        ([Float8()], lambda k, n: k * n + 4 * n),
        ([PruneTwoOfFour()], lambda k, n: 4 * k * n // 2 + k * n // 8),
        ([LowRank(rank=3)], lambda k, n: 4 * 3 * (k + n)),
        ([LowRank(rank=3), Quantise()], lambda k, n: 3 * (k + n) + 4 * (3 + n)),
        ([PruneWeights(share=0.5)], lambda k, n: 4 * k * n),
    ],
)
def test_stored_weights_take_their_bits_and_scales(
    tiny_llama: Model, rewrites: Sequence[Rewrite], each: Callable[[int, int], int]
) -> None:
    assert total(rewrite(tiny_llama, rewrites)) == 4 * OTHERS + in_all(each)


def test_scales_have_the_element_type_of_the_run(tiny_llama: Model) -> None:
    model = rewrite(tiny_llama, [Quantise()])
    assert total(model, "float16") == 2 * OTHERS + in_all(lambda k, n: k * n + 2 * n)


def test_a_rounded_cache_takes_its_bits_and_a_scale_for_each_position_and_head(
    tiny_llama: Model,
) -> None:
    for bits in (8, 4):
        trace = generate(
            rewrite(tiny_llama, [QuantiseCache(bits=bits)]),
            prompt_tokens=5,
            new_tokens=3,
            batch=2,
            execute=False,
        ).trace
        places = 2 * 3 * 16 * 2 * 2  # keys and values, layers, positions, batch, heads
        assert trace.bytes_of(Role.KV_CACHE) == places * (4 * bits // 8 + 4)


def test_a_rounded_cache_is_read_narrow_as_far_as_it_is_filled(tiny_llama: Model) -> None:
    model = rewrite(tiny_llama, [QuantiseCache()])
    trace = generate(model, prompt_tokens=5, new_tokens=3, execute=False).trace
    scores = [p.op for p in trace.placed_ops() if p.op.name == "attention.scores" and p.layer == 1]
    assert [[a.bytes for a in op.reads[1:]] for op in scores] == [
        [n * 2 * 4, n * 2 * 4]
        for n in (5, 6, 7)  # int8 keys; float32 scales of two heads
    ]
    assert scores[0].flops == 2 * 2 * 10 * 5 * 4 + 2 * 10 * 5


def test_a_key_in_the_cache_is_off_by_at_most_half_its_scale() -> None:
    """So a score is off by no more than half the scale times the query's magnitudes."""
    random = np.random.default_rng(3)
    keys, query = random.standard_normal((1, 6, 8)), random.standard_normal((1, 1, 16))
    tracer = Tracer(model="test", dtype="float64", execute=True)
    for name, values in (("keys", keys), ("query", query)):
        tracer.declare(name, Role.WEIGHT, values.shape, values=lambda _, v=values: v)
    scale = quantised.row_scale(tracer.get("keys"), cols=4, limit=127, name="scale")
    whole = quantised.to_whole(tracer.get("keys"), scale, bits=8, name="whole")
    wide = whole.values.reshape(1, 6, 2, 4) * scale.values[..., None]
    exact = keys.reshape(1, 6, 2, 4)
    assert (np.abs(wide - exact) <= scale.values[..., None] / 2 * (1 + 1e-12)).all()
    scores = quantised.attention_scores(
        tracer.get("query"),
        whole.view((6, 1, 2, 4)),
        scale.view((6, 1, 2, 1)),
        name="scores",
    ).values[0]  # [K, G, S]
    heads = query.reshape(2, 2, 4)
    expected = np.einsum("kgd,skd->kgs", heads, exact[0])
    bound = np.abs(heads).sum(axis=-1)[..., None] * scale.values[0].T[:, None] / 2
    assert (np.abs(scores - expected) <= bound * (1 + 1e-9)).all()


def test_low_rank_factors_are_as_near_as_the_dropped_singular_values() -> None:
    weight = np.random.default_rng(0).standard_normal((12, 9))
    values = np.linalg.svd(weight, compute_uv=False)
    for rank in (1, 4, 9):
        left, right = factors(weight, rank)
        assert (left.shape, right.shape) == ((12, rank), (rank, 9))
        off = weight - left @ right
        assert np.linalg.norm(off) == pytest.approx(np.sqrt((values[rank:] ** 2).sum()), abs=1e-12)
        largest = values[rank] if rank < 9 else 0.0
        assert np.linalg.norm(off, 2) == pytest.approx(largest, abs=1e-12)
        x = np.random.default_rng(1).standard_normal((3, 12))
        moved = np.linalg.norm(x @ off, axis=1)
        assert (moved <= (largest + 1e-12) * np.linalg.norm(x, axis=1)).all()


def test_a_low_rank_product_is_two_thin_ones(tiny_llama: Model) -> None:
    trace = generate(
        rewrite(tiny_llama, [LowRank(rank=3, where="mlp.up")]),
        prompt_tokens=5,
        new_tokens=1,
        execute=False,
    ).trace
    flops = [
        p.op.flops for p in trace.placed_ops() if p.op.name.startswith("mlp.up") and not p.layer
    ]
    assert flops == [2 * 5 * 16 * 3, 2 * 5 * 3 * 20]


@pytest.mark.parametrize("k", [8, 9, 11])
def test_two_of_four_keeps_the_two_largest(k: int) -> None:
    weight = np.random.default_rng(k).standard_normal((k, 5))
    values, places = two_of_four(weight)
    assert values.shape == places.shape == (2 * -(-k // 4), 5)
    dense = spread(values, places, k)
    for first in range(0, k, 4):
        part, kept = weight[first : first + 4], dense[first : first + 4]
        for column in range(5):
            largest = np.argsort(-np.abs(part[:, column]))[:2]
            expected = np.zeros(len(part))
            expected[largest] = part[largest, column]
            assert kept[:, column].tolist() == expected.tolist()
    dropped = np.abs(weight - dense)
    x = np.random.default_rng(1).standard_normal((3, k))
    assert (np.abs(x @ weight - x @ dense) <= np.abs(x) @ dropped + 1e-12).all()


def test_two_of_four_counts_half_the_flops_and_keeps_the_dense_extents(tiny_llama: Model) -> None:
    trace = generate(
        rewrite(tiny_llama, [PruneTwoOfFour()]), prompt_tokens=5, new_tokens=1, execute=False
    ).trace
    op = next(p.op for p in trace.placed_ops() if p.op.name == "mlp.up")
    assert op.flops == 5 * 16 * 20
    assert dict(op.dims) == {"batch": 1, "m": 5, "n": 20, "k": 16}
    assert [a.bytes for a in op.reads] == [4 * 5 * 16, 4 * 8 * 20, 8 * 20 // 4]


def stored(model: Model, name: str, layer: int | None = 0) -> np.ndarray:
    return model.weights(model.config, "float64")(name, layer)


def test_pruned_weights_are_the_smallest_of_each(tiny_llama: Model) -> None:
    before, after = (
        stored(m, "mlp.up.weight")
        for m in (tiny_llama, rewrite(tiny_llama, [PruneWeights(share=0.4)]))
    )
    gone = after == 0
    assert gone.sum() == int(0.4 * 16 * 20)
    assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()
    assert (after[~gone] == before[~gone]).all()


def test_a_pruned_head_leaves_the_heads_that_stay_as_they_were(tiny_llama: Model) -> None:
    model = rewrite(tiny_llama, [PruneHeads(keep=1)])
    config = model.config
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (2, 1, 4)
    assert named(model)["attention.key.cache"].shape == (16, 1, 1, 4)
    for layer in range(3):
        value, output = (
            stored(tiny_llama, f"attention.{n}.weight", layer) for n in ("value", "output")
        )
        worth = [
            np.linalg.norm(value[:, 4 * h : 4 * h + 4]) * np.linalg.norm(output[8 * h : 8 * h + 8])
            for h in range(2)
        ]
        best = int(np.argmax(worth))
        kept = stored(model, "attention.query.weight", layer)
        whole = stored(tiny_llama, "attention.query.weight", layer)
        assert (kept == whole[:, 8 * best : 8 * best + 8]).all()
        assert (stored(model, "attention.output.weight", layer) == output[8 * best :][:8]).all()


def test_keeping_all_heads_columns_and_layers_changes_nothing(small: Model) -> None:
    heads, columns = small.config.num_key_value_heads, small.config.intermediate_size
    same = rewrite(small, [PruneHeads(keep=heads), PruneColumns(keep=columns), Distil(layers=3)])
    runs = [generate(m, [3, 1, 4], new_tokens=3) for m in (small, same)]
    assert (runs[0].logits == runs[1].logits).all()


def test_pruned_columns_are_those_of_least_worth(tiny_gpt2: Model) -> None:
    model = rewrite(tiny_gpt2, [PruneColumns(keep=7)])
    up, down = (stored(tiny_gpt2, f"mlp.{n}.weight", 1) for n in ("up", "down"))
    worth = np.linalg.norm(up, axis=0) * np.linalg.norm(down, axis=1)
    kept = np.sort(np.argsort(-worth)[:7])
    assert (stored(model, "mlp.up.weight", 1) == up[:, kept]).all()
    assert (stored(model, "mlp.down.weight", 1) == down[kept]).all()
    assert stored(model, "mlp.up.bias", 1).shape == (7,)


def test_a_twin_of_half_the_layers_has_every_other_one() -> None:
    whole = load_model("glassllm-en")
    twin = rewrite(whole, [Distil(layers=2)])
    for layer, original in ((0, 0), (1, 2)):
        new, old = (stored(m, "mlp.up.weight", n) for m, n in ((twin, layer), (whole, original)))
        assert (new == old).all()
    layer = (852_608 - 1024 * 128 - 128) // 4
    assert parameter_count(twin.config) == 852_608 - 2 * layer
    assert twin.parameter_count == parameter_count(twin.config)


def test_fusing_qkv_reads_the_input_once(tiny_llama: Model) -> None:
    runs = [
        generate(m, prompt_tokens=5, new_tokens=1, execute=False).trace
        for m in (tiny_llama, rewrite(tiny_llama, [FuseQkv()]))
    ]
    apart, together = (
        [p.op for p in t.placed_ops() if p.op.family == "matmul" and p.layer == 0][:k]
        for t, k in zip(runs, (3, 1), strict=True)
    )
    assert together[0].flops == sum(op.flops for op in apart)
    saved = sum(op.bytes_read for op in apart) - together[0].bytes_read
    assert saved == 2 * 4 * 5 * 16


def test_fused_attention_never_writes_a_score(tiny_llama: Model) -> None:
    tensors = named(rewrite(tiny_llama, [FuseAttention(tile=4)]))
    assert "attention.scores" not in tensors
    assert "attention.softmax" not in tensors
    assert tensors["attention.fused"].shape == (1, 5, 16)


def test_each_residual_but_the_last_is_normed_as_it_is_summed(tiny_llama: Model) -> None:
    model = rewrite(tiny_llama, [FuseResidualNorm()])
    trace = generate(model, prompt_tokens=5, new_tokens=1, execute=False).trace
    names = [p.op.name for p in trace.placed_ops()]
    fused = [name for name in names if name.endswith(".add")]
    assert fused == ["mlp.norm.add"] + 2 * ["attention.norm.add", "mlp.norm.add"]
    assert [n for n in names if "norm" in n and not n.endswith(".add")] == [
        "attention.norm",
        "norm",
    ]


def test_rewrites_add_up_and_say_so_in_the_name(tiny_llama: Model) -> None:
    once = rewrite(tiny_llama, [Distil(layers=2), Quantise(bits=4)])
    twice = rewrite(rewrite(tiny_llama, [Distil(layers=2)]), [Quantise(bits=4)])
    assert once == twice
    assert once.name == "tiny+2-layers+int4-channel"
    assert once.weights_source == "seeded normal, seed 1; 2-layers, int4-channel"


def test_a_rewritten_model_takes_another_context(tiny_gpt2: Model) -> None:
    model = rewrite(tiny_gpt2, [Quantise(), QuantiseCache()])
    tensors = named(model, max_context=40)
    assert tensors["embedding.position.weight"].shape == (40, 12)
    assert tensors["attention.key.cache.scale"].shape == (40, 1, 3, 1)


def test_large_models_are_rewritten_by_shape_alone() -> None:
    model = rewrite(load_model("llama2-7b"), [Quantise(bits=4, per="group", group=128)])
    trace = generate(model, prompt_tokens=8, new_tokens=2, execute=False).trace
    products = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008) + 4096 * 32000
    others = 32000 * 4096 + 65 * 4096
    assert trace.weight_bytes == products // 2 + 2 * products // 128 + 2 * others


@pytest.mark.parametrize(
    ("rewrites", "message"),
    [
        ([Quantise(), FuseQkv()], "attention.query is not stored whole any more; put this"),
        ([Quantise(), Quantise()], "no product's weights are stored whole any more"),
        ([PruneTwoOfFour(), PruneHeads(keep=1)], "attention.query is not stored whole any more"),
        ([LowRank(rank=9)], "rank is 9; attention.key has at most 8"),
        ([Quantise(where="mlp.upp")], "no product of whole weights matches 'mlp.upp'; did you"),
        ([QuantiseActivations()], "put Quantise(bits=8, per='channel') before"),
        ([Quantise(symmetric=False), QuantiseActivations()], "no product has symmetric int8"),
        ([PruneHeads(keep=3)], "keep is 3; the model has 1 to 2 key/value heads"),
        ([PruneColumns(keep=0)], "keep is 0; the model has 1 to 20 columns"),
        ([Distil(layers=4)], "layers is 4; the model has 1 to 3"),
        ([FuseBiasActivation()], "adds no bias just before an activation"),
        ([QuantiseCache(), FuseAttention()], "fused attention reads no rounded cache"),
        ([FuseAttention(), QuantiseCache()], "fused attention reads no rounded cache"),
    ],
)
def test_a_rewrite_that_does_not_fit_is_refused_with_its_remedy(
    tiny_llama: Model, rewrites: Sequence[Rewrite], message: str
) -> None:
    with pytest.raises(ModelError) as error:
        rewrite(tiny_llama, rewrites)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QuantiseCache(bits=2), "a cache of 2 bits is not known; choose 4 or 8"),
        (lambda: PruneWeights(share=1.0), "share is 1.0; give 0 to below 1"),
        (lambda: LowRank(rank=0), "rank is 0; give 1 or more"),
        (lambda: FuseAttention(tile=0), "tile is 0; give 1 position or more"),
    ],
)
def test_a_rewrite_of_no_sense_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()


@pytest.mark.parametrize("name", ["mixtral-8x7b", "deepseek-v3"])
def test_experts_and_latent_attention_are_not_rewritten(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} has experts or latent .* take a dense decoder"):
        rewrite(load_model(name), [Quantise()])


def test_rewritten_models_take_no_ragged_batch(tiny_llama: Model) -> None:
    with pytest.raises(ModelError, match="take prompts of one length"):
        answer_batch(rewrite(tiny_llama, [FuseQkv()]), [[1, 2, 3], [4]], new_tokens=2)
