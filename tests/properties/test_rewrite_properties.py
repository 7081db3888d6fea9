"""Laws that the trace of any rewritten model keeps, on random models and lists of rewrites."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import Model, ModelError, PlacedOp, Role, Trace, generate, read_config
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
    Quantise,
    QuantiseActivations,
    QuantiseCache,
    rewrite,
)

SHAPES = [Distil(layers=2), PruneHeads(keep=1), PruneColumns(keep=5)]
FUSIONS = [FuseQkv(), FuseResidualNorm(), FuseBiasActivation(), FuseAttention(tile=3)]
FORMS = [
    [],
    [LowRank(rank=2)],
    [PruneTwoOfFour(where="mlp.*")],
    [Quantise(), QuantiseActivations()],
    [Quantise(bits=4, per="group", group=3, symmetric=False)],
    [Float8(kind="e4m3", per="tensor")],
    [LowRank(rank=3, where="mlp.*"), Quantise(bits=4)],
]


@st.composite
def models(draw: Any) -> Model:
    """Draw a random decoder with random rewrites, left out where they do not fit."""
    gpt2, kv_heads = draw(st.booleans()), draw(st.integers(1, 3))
    heads = kv_heads * (1 if gpt2 else draw(st.integers(1, 2)))
    style = (
        {"model_type": "gpt2", "hidden_act": "gelu_new", "layer_norm_epsilon": 1e-5}
        if gpt2
        else {"model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1e4}
    )
    config = read_config(
        {
            "source": "random",
            "hidden_size": heads * 2 * draw(st.integers(2, 3)),
            "num_hidden_layers": draw(st.integers(2, 4)),
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": draw(st.integers(5, 9)),
            "vocab_size": draw(st.integers(3, 9)),
            "max_position_embeddings": 16,
            "tie_word_embeddings": draw(st.booleans()),
            **style,
        }
    )
    model = Model(name="random", config=config, tokenizer=None, seed=0)
    wanted = [r for r in (*SHAPES, *FUSIONS) if draw(st.booleans())]
    wanted += draw(st.sampled_from(FORMS))
    wanted += [QuantiseCache(bits=draw(st.sampled_from([4, 8])))] * draw(st.booleans())
    for rewritten in wanted:
        try:
            model = rewrite(model, [rewritten])
        except ModelError:
            continue
    return model


requests = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(1, 5),
        "new_tokens": st.integers(1, 3),
        "batch": st.integers(1, 2),
        "dtype": st.sampled_from(["float16", "float32", "float64"]),
    }
)


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_executed_and_shape_only_runs_have_one_digest(
    model: Model, request: dict[str, Any]
) -> None:
    executed = generate(model, **request).trace
    shaped = generate(model, **request, execute=False).trace
    assert executed == shaped
    assert executed.digest() == shaped.digest()


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_reads_wait_for_writers_and_writers_for_readers(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    before: list[int] = []  # bit set of all that an operation waits for, directly or not
    writer: dict[tuple[int, int | None], int] = {}
    users: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        waits = 0
        for dependency in placed.dependencies:
            waits |= before[dependency] | 1 << dependency
        before.append(waits)
        require_ordered(trace, placed, waits, writer, users)


def require_ordered(
    trace: Trace,
    placed: PlacedOp,
    waits: int,
    writer: dict[tuple[int, int | None], int],
    users: dict[tuple[int, int | None], int],
) -> None:
    """Check one operation against what was read and written before it, and note its own."""
    for access in placed.op.reads:
        tensor = trace.tensors[access.tensor]
        place = (access.tensor, placed.layer if tensor.layers > 1 else None)
        if tensor.role in {Role.ACTIVATION, Role.KV_CACHE}:
            assert writer[place] in placed.dependencies
        users[place] = users.get(place, 0) | 1 << placed.index
    for access in placed.op.writes:
        tensor = trace.tensors[access.tensor]
        place = (access.tensor, placed.layer if tensor.layers > 1 else None)
        if tensor.role is Role.ACTIVATION:
            mine = 1 << placed.index
            assert users.get(place, 0) & ~waits & ~mine == 0
        writer[place] = placed.index
        if tensor.role is Role.ACTIVATION:
            users[place] = 0


@given(model=models(), request=requests)
@settings(max_examples=20, deadline=None)
def test_a_saved_trace_comes_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, model: Model, request: dict[str, Any]
) -> None:
    path: Path = tmp_path_factory.mktemp("trace") / "trace.gz"
    trace = generate(model, **request, execute=False).trace
    trace.save(path)
    assert Trace.load(path) == trace
