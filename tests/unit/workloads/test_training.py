"""Training whole decoders: numbers, trace, memory, and every machine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import CONFIGS, MAX_NORM, batches, model, optimiser, schedule

from sim.machine import load_machine
from sim.memory.capacity import Room
from sim.run import run
from workloads import (
    Family,
    Model,
    ModelError,
    Phase,
    Role,
    Trace,
    load_model,
    parameter_count,
)
from workloads.architectures.decoder_config import DecoderConfig
from workloads.array import Values
from workloads.ops.losses import IGNORED
from workloads.train import Training, train
from workloads.training import SGD, Adam, AdamW, Batch, EarlyStopping, LossScale, Optimiser

FIXTURE = Path(__file__).parents[2] / "fixtures" / "training.npz"

BATCH, TOKENS, STEPS = 2, 5, 3

PLAIN: dict[str, Any] = {
    "source": "made up",
    "model_type": "made up",
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "max_position_embeddings": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 2,
    "intermediate_size": 6,
    "tie_word_embeddings": False,
    "activation": "silu",
    "gated": True,
    "norm": "rmsnorm",
    "norm_eps": 1e-5,
    "positions": "rotary",
}
STYLES: dict[str, dict[str, Any]] = {
    "plain": {},
    "one layer": {"num_hidden_layers": 1},
    "tied, learned, biased": {
        "tie_word_embeddings": True,
        "positions": "learned",
        "norm": "layernorm",
        "qkv_bias": True,
        "attention_output_bias": True,
        "mlp_bias": True,
        "gated": False,
        "activation": "gelu_new",
    },
    "normed rows, alibi": {"embedding_norm": True, "norm": "layernorm", "positions": "alibi"},
    "own norms in parallel": {"parallel": "own_norms", "head_bias": True},
    "one norm in parallel": {"parallel": "one_norm", "activation": "gelu"},
    "windows, caps, norms after": {
        "sliding_window": 2,
        "sliding_layers": "even",
        "norm_after": True,
        "norm_offset": True,
        "embedding_scale": 2.0,
        "attention_softcap": 1.0,
        "logit_softcap": 2.0,
        "tie_word_embeddings": True,
    },
    "relu": {"gated": False, "activation": "relu", "positions": "learned", "position_offset": 2},
}


def styled(style: str, **changes: Any) -> Model:
    config = DecoderConfig(**(PLAIN | STYLES[style] | changes))
    return Model(name=style, config=config, tokenizer=None, seed=2)


def drawn(vocabulary: int = 11, batch: int = BATCH, tokens: int = TOKENS) -> list[Values]:
    random = np.random.default_rng(4)
    return [random.integers(vocabulary, size=(batch, tokens + 1)) for _ in range(STEPS)]


def shaped(
    what: Model, optimiser: Optimiser | None = None, dtype: str = "float32", **options: Any
) -> Trace:
    """Trace a training run without numbers."""
    size = {"shape": (BATCH, TOKENS), "steps": STEPS} | options
    return train(what, optimiser=optimiser or AdamW(lr=1e-2), dtype=dtype, **size).trace


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-8), ("float32", 1e-4)])
def test_a_decoder_trains_as_torchs_does(name: str, dtype: str, bound: float) -> None:
    """AdamW, clipping, warm-up and cosine decay; torch computes rotary angles in float32."""
    trained = train(
        model(name),
        batches(),
        optimiser=optimiser(),
        schedule=schedule(),
        max_norm=MAX_NORM,
        dtype=dtype,
    )
    with np.load(FIXTURE, allow_pickle=False) as fixture:
        losses, norms = fixture[f"losses/{name}"], fixture[f"norms/{name}"]
    assert np.abs(np.array(trained.losses) / losses - 1).max() < bound
    assert np.abs(np.array(trained.gradient_norms) / norms - 1).max() < max(bound, 1e-5)
    assert losses[-1] < losses[0] - 0.5
    assert max(norms) > MAX_NORM > min(norms)


@pytest.mark.parametrize("style", STYLES)
def test_executed_and_shape_only_runs_have_one_digest(style: str) -> None:
    for dtype in ("float64", "float16"):
        small = LossScale(scale=1.0)  # so that no step overflows
        executed = train(
            styled(style), drawn(), optimiser=Adam(lr=1e-2), dtype=dtype, loss_scale=small
        )
        assert executed.skipped == ()
        shapes = shaped(styled(style), Adam(lr=1e-2), dtype, loss_scale=small)
        assert executed.trace.digest() == shapes.digest()


@pytest.mark.parametrize("style", STYLES)
def test_a_step_moves_every_weight_down_the_slope_that_finite_differences_show(style: str) -> None:
    what, rate = styled(style), 1e-7
    ids = drawn()[:1]
    before = what.weights(what.config, "float64")
    moved = train(what, ids * 2, optimiser=SGD(lr=rate), max_norm=1e9, dtype="float64")
    first, second = moved.losses
    # One step along the gradient: the loss falls by rate * |gradient|^2, to the first order.
    assert (first - second) / rate == pytest.approx(moved.gradient_norms[0] ** 2, rel=1e-4)
    for name, layer in (("mlp.up.weight", 0), ("attention.key.weight", 0), ("norm.weight", None)):
        change = moved.weights(name, layer) - before(name, layer)
        assert np.abs(change).max() > 0


def test_phases_follow_each_other_in_every_step() -> None:
    trace = shaped(styled("plain"))
    order = [(placed.op.step, placed.op.phase) for placed in trace.placed_ops()]
    steps = list(dict.fromkeys(order))
    assert steps == [
        (step, phase)
        for step in range(STEPS)
        for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE)
    ]
    assert order == sorted(order, key=steps.index)
    walked = [p.layer for p in trace.placed_ops() if p.op.phase is Phase.BACKWARD]
    assert list(dict.fromkeys(walked[: len(walked) // STEPS])) == [None, 2, 1, 0]


def test_products_cost_three_times_their_forward_pass() -> None:
    config = styled("plain").config
    trace = shaped(styled("plain"), steps=1)
    flops = {phase: products(trace, phase) for phase in Phase}
    tokens, heads = BATCH * TOKENS, config.num_attention_heads * config.head_dim
    cached = config.num_key_value_heads * config.head_dim
    layer = config.hidden_size * (2 * heads + 2 * cached + 3 * config.intermediate_size)
    weights = config.num_hidden_layers * layer + config.hidden_size * config.vocab_size
    attention = config.num_hidden_layers * 2 * 2 * tokens * TOKENS * heads
    assert flops[Phase.FORWARD] == 2 * tokens * weights + attention
    assert flops[Phase.BACKWARD] == 2 * flops[Phase.FORWARD]
    assert flops[Phase.UPDATE] == 0


def products(trace: Trace, phase: Phase) -> int:
    ops = (placed.op for placed in trace.placed_ops())
    return sum(op.flops for op in ops if op.family is Family.MATMUL and op.phase is phase)


@pytest.mark.parametrize(
    ("kept", "states"), [(SGD(lr=1), 0), (SGD(lr=1, momentum=0.9), 1), (Adam(lr=1), 2)]
)
def test_gradients_are_as_large_as_the_weights_and_state_a_multiple(
    kept: Optimiser, states: int
) -> None:
    parameters = parameter_count(styled("plain").config)
    trace = shaped(styled("plain"), kept)
    assert trace.bytes_of(Role.WEIGHT) == trace.bytes_of(Role.GRADIENT) == 4 * parameters
    assert trace.bytes_of(Role.OPTIMIZER_STATE) == states * 4 * parameters
    half = shaped(styled("plain"), kept, "float16")
    assert half.bytes_of(Role.WEIGHT) == half.bytes_of(Role.GRADIENT) == 2 * parameters
    assert half.bytes_of(Role.OPTIMIZER_STATE) == (states + 1) * 4 * parameters
    assert half.bytes_of(Role.KV_CACHE) == 0


def test_an_update_reads_and_writes_all_that_is_kept_of_each_weight_once() -> None:
    parameters = parameter_count(styled("plain").config)
    trace = shaped(styled("plain"), Adam(lr=1), steps=1)
    update = [p.op for p in trace.placed_ops() if p.op.phase is Phase.UPDATE]
    assert sum(op.bytes_read for op in update) == 4 * 4 * parameters  # with the gradients
    assert sum(op.bytes_written for op in update) == 3 * 4 * parameters
    assert sum(op.flops for op in update) == 12 * parameters
    clipped = shaped(styled("plain"), Adam(lr=1), steps=1, max_norm=1.0)
    update = [p.op for p in clipped.placed_ops() if p.op.phase is Phase.UPDATE]
    tensors = len(update) // 2  # one sum of squares and one step each, and the factor
    assert len(update) == 2 * tensors + 1
    # squares and their sum, the sum so far (but for the first), the factor, each times the factor
    assert sum(op.flops for op in update) == (12 + 2 + 1) * parameters + tensors - 1 + 5


def test_activations_kept_for_the_backward_pass_have_their_closed_form() -> None:
    config = styled("plain").config
    heads = config.num_attention_heads * config.head_dim
    cached = config.num_key_value_heads * config.head_dim
    # what both norms read and give; rotated queries, keys, values, mix; gate, up and their product
    wide = 4 * config.hidden_size + 2 * heads + 2 * cached + 3 * config.intermediate_size
    assert kept_bytes(shaped(styled("plain"))) == expected_bytes(config, wide)


def test_biases_and_residuals_keep_no_copies_but_what_norms_read() -> None:
    config = styled("tied, learned, biased").config
    heads = config.num_attention_heads * config.head_dim
    cached = config.num_key_value_heads * config.head_dim
    # as above, but unrotated queries; the widened before and after its activation
    wide = 4 * config.hidden_size + 2 * heads + 2 * cached + 2 * config.intermediate_size
    assert kept_bytes(shaped(styled("tied, learned, biased"))) == expected_bytes(config, wide)


def kept_bytes(trace: Trace) -> int:
    """Bytes of activations that every layer has of its own."""
    return sum(t.total_bytes for t in trace.tensors if t.role is Role.ACTIVATION and t.layers > 1)


def expected_bytes(config: DecoderConfig, wide: int) -> int:
    weights = config.num_attention_heads * TOKENS  # of a token's attention
    return 4 * config.num_hidden_layers * BATCH * TOKENS * (wide + weights)


def test_float16_trains_close_to_float32_from_master_weights() -> None:
    half = train(model("gpt2"), batches(), optimiser=optimiser(), dtype="float16")
    full = train(model("gpt2"), batches(), optimiser=optimiser(), dtype="float32")
    assert half.skipped == ()
    assert np.abs(np.array(half.losses) - full.losses).max() < 0.02
    assert half.weights("norm.weight", None).dtype == np.float32


@pytest.mark.parametrize("interval", [None, 100])
def test_a_loss_scale_alone_changes_nothing_that_rounding_does_not(interval: int | None) -> None:
    plain = train(styled("plain"), drawn(), optimiser=Adam(lr=1e-2), dtype="float64")
    scale = LossScale(scale=1024, growth_interval=interval)
    scaled = train(
        styled("plain"), drawn(), optimiser=Adam(lr=1e-2), dtype="float64", loss_scale=scale
    )
    assert scaled.losses == pytest.approx(plain.losses, rel=1e-12)


def test_an_overflow_skips_the_step_and_halves_an_adaptive_scale() -> None:
    scale = LossScale(scale=2.0**24, growth_interval=100, backoff=2.0**-10)
    trained = overflowing(scale)
    assert trained.skipped == (0,)
    assert trained.learning_rates == (0, 1e-2, 1e-2)
    assert scale.scale == 2.0**14
    assert not np.isfinite(trained.gradient_norms[0])
    updates = {p.op.step for p in trained.trace.placed_ops() if p.op.kind == "adam"}
    assert updates == {1, 2}


def test_a_static_scale_that_overflows_never_updates() -> None:
    trained = overflowing(LossScale(scale=2.0**24))
    what = styled("plain")
    before = what.weights(what.config, "float32")("norm.weight", None)
    assert trained.skipped == (0, 1, 2)
    assert np.array_equal(trained.weights("norm.weight", None), before)


def overflowing(scale: LossScale) -> Training:
    same = [drawn()[0]] * 3
    return train(styled("plain"), same, optimiser=Adam(lr=1e-2), dtype="float16", loss_scale=scale)


def test_training_stops_early_when_the_loss_no_longer_falls() -> None:
    same = [drawn()[0]] * 6
    trained = train(
        styled("plain"),
        same,
        optimiser=SGD(lr=0.0),
        early_stopping=EarlyStopping(patience=2),
    )
    assert trained.stopped_early
    assert len(trained.losses) == 3


def test_ignored_targets_count_for_nothing() -> None:
    ids = drawn()[0]
    targets = ids[:, 1:].copy()
    targets[:, 2:] = IGNORED
    short = train(styled("plain"), [ids[:, :3]], optimiser=SGD(lr=1e-1), dtype="float64")
    batch = Batch(ids[:, :-1], targets)
    padded = train(styled("plain"), [batch], optimiser=SGD(lr=1e-1), dtype="float64")
    assert padded.losses == pytest.approx(short.losses, rel=1e-12)


def test_a_saved_training_trace_loads_as_it_was(tmp_path: Path) -> None:
    trace = shaped(styled("plain"))
    trace.save(tmp_path / "training.trace")
    assert Trace.load(tmp_path / "training.trace") == trace


@pytest.mark.parametrize("machine", ["cpu-5stage", "gpu-a100-sxm-80gb", "tpu-v4"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_training_trace_runs_on_every_kind_of_machine(machine: str, dtype: str) -> None:
    trace = shaped(styled("plain"), dtype=dtype, steps=1, max_norm=1.0)
    result = run(trace, load_machine(machine))
    phases = {row.phase: row for row in result.phases}
    assert set(phases) == {Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE}
    assert all(row.tokens == BATCH * TOKENS for row in result.phases)
    assert sum(row.flops for row in result.phases) == trace.flops
    assert phases[Phase.BACKWARD].cycles > phases[Phase.FORWARD].cycles
    assert result.cycles == sum(row.cycles for row in result.phases)


def test_room_counts_gradients_and_state_as_what_no_batch_changes() -> None:
    room = Room.of(shaped(styled("plain"), Adam(lr=1)))
    assert room.training_bytes == 3 * room.weight_bytes
    assert room.total_bytes == shaped(styled("plain"), Adam(lr=1)).footprint_bytes
    larger = Room.of(shaped(styled("plain"), Adam(lr=1), shape=(2 * BATCH, TOKENS)))
    assert larger.fixed_bytes == room.fixed_bytes
    assert larger.other_bytes > room.other_bytes


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "give batches to train on, or a shape"),
        ({"shape": (1, 2)}, "give batches to train on, or a shape"),
        ({"batches": [[[1, 2]]], "steps": 1}, "leave out shape, steps"),
        ({"batches": [[1, 2]]}, "a batch is token numbers"),
        ({"batches": [[[0.5, 1.0]]]}, "whole token numbers"),
        ({"batches": [[[1, 99]]]}, "token number 99 is outside the vocabulary; use 0 to 10"),
        ({"batches": [[[1, 2]], [[1, 2, 3]]]}, "batches must have one shape"),
        ({"batches": []}, "batches must have one shape, got none"),
        ({"batches": [Batch(np.ones((1, 2), int), np.ones((1, 3), int))]}, "each position"),
        (
            {"batches": [Batch(np.ones((1, 2), int), np.full((1, 2), IGNORED))]},
            "nothing to learn",
        ),
        ({"shape": (1, 9), "steps": 1}, "9 tokens exceed the context of plain, 8"),
        ({"shape": (1, 2), "steps": 0}, "at least 1 of each"),
        ({"shape": (1, 2), "steps": 1, "max_norm": 0.0}, "max_norm is 0.0"),
        ({"shape": (1, 2), "steps": 1, "dtype": "float12"}, "unknown dtype 'float12'"),
        ({"batches": [[[1, 2]]], "dtype": "bfloat16"}, "numpy has no bfloat16"),
    ],
)
def test_a_wrong_request_is_told_the_remedy(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        train(styled("plain"), optimiser=SGD(lr=1), **request_)


def test_a_model_too_large_to_execute_is_refused_and_traced_without_numbers() -> None:
    large = styled("plain", vocab_size=20_000_000)
    with pytest.raises(ModelError, match="GiB to train"):
        train(large, [[[1, 2]]], optimiser=Adam(lr=1))
    assert shaped(large, steps=1).weight_bytes > 2**30


def test_the_state_of_a_trained_model_is_part_of_its_digest() -> None:
    trace = shaped(styled("plain"))
    assert replace(trace, prompt_tokens=1).digest() != trace.digest()
    assert shaped(styled("plain"), SGD(lr=1)).digest() != trace.digest()


def test_what_has_no_gradient_rules_is_refused() -> None:
    with pytest.raises(ModelError, match=r"mixtral-8x7b: experts and latent .* dense decoder"):
        train(load_model("mixtral-8x7b"), shape=(1, 4), steps=1, optimiser=SGD(lr=0.1))
