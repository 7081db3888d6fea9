"""Laws that the trace of any model keeps, on random small models."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import Model, Role, Trace, generate, parameter_count, read_config
from workloads.architectures.decoder_config import DecoderConfig

small = st.integers(1, 3)


@st.composite
def models(draw: Any) -> Model:
    gpt2 = draw(st.booleans())
    groups = draw(small)
    kv_heads = draw(small)
    heads = kv_heads if gpt2 else kv_heads * groups
    style = (
        {"model_type": "gpt2", "hidden_act": "gelu_new", "layer_norm_epsilon": 1e-5}
        if gpt2
        else {
            "model_type": "llama",
            "hidden_act": "silu",
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e4,
            "rope_interleaved": draw(st.booleans()),
        }
    )
    config = read_config(
        {
            "source": "random",
            "hidden_size": heads * 2 * draw(small),
            "num_hidden_layers": draw(st.integers(1, 4)),
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": draw(st.integers(1, 9)),
            "vocab_size": draw(st.integers(2, 9)),
            "max_position_embeddings": 16,
            "tie_word_embeddings": draw(st.booleans()),
            **style,
        }
    )
    return Model(name="random", config=config, tokenizer=None, seed=0)


requests = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(1, 6),
        "new_tokens": st.integers(1, 4),
        "batch": small,
        "temperature": st.sampled_from([None, 1.0]),
    }
)


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_executed_and_shape_only_runs_have_one_digest(
    model: Model, request: dict[str, Any]
) -> None:
    executed = generate(model, **request).trace
    shaped = generate(model, **request, execute=False).trace
    executed.verify()
    shaped.verify()
    assert executed.digest() == shaped.digest()


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_flops_have_their_closed_form(model: Model, request: dict[str, Any]) -> None:
    trace = generate(model, **request, execute=False).trace
    batch, prompt = request["batch"], request["prompt_tokens"]
    passes = [(prompt, prompt)] + [(1, prompt + n) for n in range(1, request["new_tokens"])]
    sampled = request["temperature"] is not None
    expected = sum(pass_flops(model.config, batch, t, s, sampled) for t, s in passes)
    assert trace.flops == expected


def pass_flops(config: DecoderConfig, batch: int, tokens: int, seen: int, sampled: bool) -> int:
    """Arithmetic of one pass, from the published shapes alone."""
    c, f, v = config.hidden_size, config.intermediate_size, config.vocab_size
    heads, kv, gpt2 = (
        config.num_attention_heads,
        config.key_value_size,
        config.positions == "learned",
    )
    rows = batch * tokens
    norm = (7 * c + 3) if gpt2 else (4 * c + 2)  # a row
    products = 2 * rows * (2 * c * c + 2 * c * kv + (2 if gpt2 else 3) * c * f)
    if gpt2:
        styled = rows * (2 * c + 2 * kv + f + c) + 8 * rows * f  # biases; GELU
    else:
        pairs = config.head_dim // 2
        styled = 3 * rows * (c + kv) + 2 * tokens * pairs + 3 * rows * f  # RoPE; SwiGLU
    attention = 4 * rows * c * seen + 5 * rows * heads * seen + tokens * seen
    layer = products + styled + attention + rows * (2 * norm + 2 * c)
    choice = (6 * v + 1 if sampled else v) * batch
    positions = rows * c if gpt2 else 0
    return config.num_hidden_layers * layer + batch * (norm + 2 * c * v) + choice + positions


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_nothing_is_read_before_it_is_written_and_every_read_waits_for_its_writer(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    writer: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        for access in placed.op.reads:
            last = writer.get(place(trace, access.tensor, placed.layer))
            if trace.tensors[access.tensor].role in {Role.ACTIVATION, Role.KV_CACHE}:
                assert last in placed.dependencies
        for access in placed.op.writes:
            writer[place(trace, access.tensor, placed.layer)] = placed.index


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_no_buffer_is_overwritten_before_its_readers_are_done(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    before: list[int] = []  # bit set of all that an operation waits for, directly or not
    users: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        waits = 0
        for dependency in placed.dependencies:
            waits |= before[dependency] | 1 << dependency
        before.append(waits)
        for access in placed.op.writes:
            where = place(trace, access.tensor, placed.layer)
            assert users.get(where, 0) & ~waits == 0
            users[where] = 1 << placed.index
        for access in placed.op.reads:
            where = place(trace, access.tensor, placed.layer)
            users[where] = users.get(where, 0) | 1 << placed.index


def place(trace: Trace, tensor: int, layer: int | None) -> tuple[int, int | None]:
    """A piece of memory: a layer's own instance, or what all share."""
    return tensor, layer if trace.tensors[tensor].layer_stride_bytes else None


@given(model=models(), request=requests)
@settings(max_examples=20, deadline=None)
def test_weights_are_the_parameters_and_each_pass_reads_them_all_but_the_tables(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    assert trace.weight_bytes == 4 * parameter_count(model.config)
    tables = {"embedding.token.weight", "embedding.position.weight"}
    expected = sum(
        tensor.total_bytes
        for tensor in trace.tensors
        if tensor.role is Role.WEIGHT and tensor.name not in tables
    )
    for step in range(request["new_tokens"]):
        read = sum(
            access.bytes
            for placed in trace.placed_ops()
            if placed.op.step == step
            for access in placed.op.reads
            if trace.tensors[access.tensor].role is Role.WEIGHT
            and trace.tensors[access.tensor].name not in tables
        )
        assert read == expected
