"""What single switches of a decoder do: windows, slowed rotary positions, scales, norms."""

import json
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import drawn_model

from workloads import Model, generate, load_model, read_config
from workloads.architectures.rotary import RopeScaling, rope_frequencies
from workloads.trace import Op, Trace
from workloads.weights import seeded_weights

DECODERS = Path(__file__).parents[2] / "fixtures" / "decoders"


def small(case: str, **changes: Any) -> Model:
    """The small model of a fixture, with changes of its normalised words."""
    with np.load(DECODERS / f"{case}.npz", allow_pickle=False) as file:
        config = read_config({**json.loads(str(file["config"])), "source": "drawn"})
    return drawn_model(config.model_copy(update=changes), case)


def named(trace: Trace, name: str) -> list[Op]:
    return [placed.op for placed in trace.placed_ops() if placed.op.name == name]


def test_a_sliding_window_reads_only_the_window_from_the_cache() -> None:
    trace = generate(small("mistral"), prompt_tokens=6, new_tokens=4, execute=False).trace
    position = 2 * 4 * 4  # 2 heads of 4 float32
    for name in ("attention.scores", "attention.mix"):
        layers = named(trace, name)[1::2]
        reads = [(op.reads[1].offset_bytes, op.reads[1].bytes) for op in layers]
        seen = [(0, 6), (3, 4), (4, 4), (5, 4)]  # window 4 of 6, 7, 8, 9 positions
        assert reads == [(first * position, count * position) for first, count in seen]


def test_a_chunk_reads_the_window_before_its_first_token_too() -> None:
    trace = generate(small("mistral"), prompt_tokens=6, new_tokens=1, execute=False).trace
    assert {op.dims["n"] for op in named(trace, "attention.scores")} == {6}  # 4 + 6 - 1 > 6


@pytest.mark.parametrize(("case", "local"), [("gemma2", [0, 2]), ("gpt_neo", [1]), ("phi3", [0])])
def test_only_the_local_layers_slide(case: str, local: list[int]) -> None:
    model = small(case)
    trace = generate(model, prompt_tokens=8, new_tokens=2, execute=False).trace
    seen = {
        placed.layer: placed.op.dims["n"]
        for placed in trace.placed_ops()
        if placed.op.name == "attention.scores" and placed.op.step == 1
    }
    window = model.config.sliding_window
    layers = range(model.config.num_hidden_layers)
    local = list(layers) if case == "phi3" else local
    assert seen == {layer: window if layer in local else 9 for layer in layers}


def test_gemma2_27b_traces_its_layers_in_turn() -> None:
    trace = generate(load_model("gemma2-27b"), prompt_tokens=8, new_tokens=1, execute=False).trace
    assert [block.repeats for block in trace.blocks] == [1] + [1] * 46 + [1]
    assert [block.first_layer for block in trace.blocks[1:-1]] == list(range(46))


def test_a_window_as_wide_as_the_run_changes_no_number() -> None:
    wide = generate(small("mistral", sliding_window=11), prompt_tokens=6, new_tokens=5)
    whole = generate(small("mistral", sliding_window=None), prompt_tokens=6, new_tokens=5)
    assert np.array_equal(wide.logits, whole.logits)


def test_rotary_frequencies_fall_as_powers_of_theta() -> None:
    assert rope_frequencies(theta=1e4, rotated=8) == pytest.approx([1, 1e-1, 1e-2, 1e-3])


def test_linear_scaling_divides_every_frequency() -> None:
    plain = rope_frequencies(theta=5e5, rotated=64)
    slowed = rope_frequencies(theta=5e5, rotated=64, scaling=RopeScaling(kind="linear", factor=4.0))
    assert slowed == pytest.approx([frequency / 4 for frequency in plain])


def test_llama3_scaling_keeps_the_fast_slows_the_slow_and_blends_between() -> None:
    scaling = RopeScaling(
        kind="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context=8192
    )
    turn = 2 * pi / 8192  # one turn in the old context
    assert scaling.scaled(4 * turn) == pytest.approx(4 * turn)
    assert scaling.scaled(40 * turn) == pytest.approx(40 * turn)
    assert scaling.scaled(1 * turn) == pytest.approx(1 * turn / 8)
    assert scaling.scaled(0.1 * turn) == pytest.approx(0.1 * turn / 8)
    assert scaling.scaled(2.5 * turn) == pytest.approx(2.5 * turn * (0.5 + 0.5 / 8))


def test_token_rows_of_gemma_are_scaled_by_a_root_rounded_to_the_runs_type() -> None:
    model = small("gemma", hidden_size=16)
    scale = model.config.model_copy(update={"embedding_scale": 3072**0.5})
    for dtype in ("float16", "float32", "float64"):
        runs = [
            generate(drawn_model(config), [[1]], new_tokens=1, dtype=dtype).logits
            for config in (
                scale,
                scale.model_copy(
                    update={"embedding_scale": float(np.dtype(dtype).type(3072**0.5))}
                ),
            )
        ]
        assert np.array_equal(*runs)
    trace = generate(model, prompt_tokens=3, new_tokens=1, execute=False, batch=2).trace
    (op,) = named(trace, "embedding.scale")
    assert (op.flops, op.bytes_read) == (2 * 3 * 16, 4 * 2 * 3 * 16)


def test_seeded_norms_scale_by_one_whether_one_is_added_or_not() -> None:
    for case, value in (("gemma2", 0), ("glm4", 1), ("bloom", 1)):
        model = small(case)
        weight = seeded_weights(model.config, "float32", 1)
        names = {"attention.norm", "mlp.norm"}
        names |= {"attention.norm_after", "mlp.norm_after"} if case != "bloom" else set()
        assert all((weight(f"{name}.weight", 0) == value).all() for name in names)
        assert (weight("norm.weight", None) == value).all()
        assert weight("embedding.token.weight", None).std() > 0.01


@pytest.mark.parametrize("case", sorted(path.stem for path in DECODERS.glob("*.npz")))
def test_seeded_weights_give_logits_of_a_sane_size(case: str) -> None:
    drawn = small(case)
    model = Model(name=case, config=drawn.config, tokenizer=None, seed=3)
    logits = generate(model, [[1, 2, 3, 4, 5, 6]], new_tokens=2).logits
    assert np.isfinite(logits).all()
    assert 1e-3 < np.abs(logits).max() < 10


def test_an_offset_in_the_position_table_adds_rows_before_the_first_position() -> None:
    trace = generate(small("opt"), prompt_tokens=3, new_tokens=2, execute=False).trace
    table = next(t for t in trace.tensors if t.name == "embedding.position.weight")
    assert table.shape == (32 + 2, 16)
    reads = [
        (op.reads[1].offset_bytes, op.reads[1].bytes) for op in named(trace, "embedding.position")
    ]
    assert reads == [(2 * 64, 3 * 64), (5 * 64, 1 * 64)]


def test_a_head_bias_stands_with_a_tied_embedding_too() -> None:
    logits = {}
    for bias in (False, True):
        model = small("gptj", tie_word_embeddings=True, head_bias=bias)
        logits[bias] = generate(model, [[1, 2]], new_tokens=1, dtype="float64").logits[0, 0]
    expected = drawn_model(model.config).weights(model.config, "float64")("head.bias", None)
    assert np.allclose(logits[True] - logits[False], expected, atol=1e-12)
