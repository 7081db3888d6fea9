"""Closed forms of what a trace counts, from the published shapes alone."""

import pytest
from encoder_decoder_cases import FAMILIES, small

from workloads import Role, Trace, load_model, parameter_count
from workloads.answer import answer
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig, Stack

COUNTED = {  # by building each published class on torch's meta device
    "t5-small": 60_506_624,
    "t5-base": 222_903_552,
    "t5-large": 737_668_096,
    "t5-3b": 2_851_598_336,
    "t5-11b": 11_307_321_344,
    "whisper-tiny.en": 37_760_256,
}
PAPER_MILLIONS = {"transformer-base": 65, "transformer-big": 213}  # of "about 37000" tokens
ACTIVATION_FLOPS = {"relu": 1, "silu": 2, "gelu": 4, "gelu_new": 8}

every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.mark.parametrize("name", COUNTED)
def test_a_counted_model_has_exactly_its_parameters(name: str) -> None:
    assert load_model(name).parameter_count == COUNTED[name]


@pytest.mark.parametrize("name", PAPER_MILLIONS)
def test_the_first_transformer_has_about_the_papers_parameters(name: str) -> None:
    count = load_model(name).parameter_count
    assert abs(count / 1e6 / PAPER_MILLIONS[name] - 1) < 0.035


def test_the_first_transformers_parameters_follow_from_its_equations() -> None:
    for name, c, f in (("transformer-base", 512, 2048), ("transformer-big", 1024, 4096)):
        attention, feed_forward, norm = 4 * c * c, 2 * c * f + f + c, 2 * c
        encoder = 6 * (attention + feed_forward + 2 * norm)
        decoder = 6 * (2 * attention + feed_forward + 3 * norm)
        assert load_model(name).parameter_count == 37_000 * c + encoder + decoder


def traced(family: str, *, batch: int, new_tokens: int) -> tuple[EncoderDecoderConfig, Trace, int]:
    length = 18 if family == "whisper" else 7
    model = small(family)
    run = answer(
        model,
        source_length=length,
        new_tokens=new_tokens,
        batch=batch,
        start_ids=(3, 4),
        execute=False,
    )
    return model.config, run.trace, 9 if family == "whisper" else 7


@every_family
@pytest.mark.parametrize("batch", [1, 3])
def test_flops_have_their_closed_form(family: str, batch: int) -> None:
    config, trace, source = traced(family, batch=batch, new_tokens=4)
    passes = [(2, 2), (1, 3), (1, 4), (1, 5)]
    decoded = sum(decoder_flops(config, batch, source, t, s) for t, s in passes)
    assert trace.flops == encoder_flops(config, batch, source) + decoded


def encoder_flops(config: EncoderDecoderConfig, batch: int, source: int) -> int:
    c, rows, stack = config.hidden_size, batch * source, config.encoder
    total = positions_flops(config, stack, batch, source)
    if config.mel_bins is None:
        total += rows * c * (config.embedding_scale is not None)
    else:
        total += product(2 * rows, 3 * config.mel_bins, c, bias=True) + 4 * 2 * rows * c
        total += product(rows, 3 * c, c, bias=True) + 4 * rows * c
    layer = attention_flops(config, stack, batch, source, source, biased=True)
    layer += rows * wide_flops(config, stack) + 2 * rows * (norm_flops(config) + c)
    total += stack.layers * layer + rows * norm_flops(config) * (config.norm_place == "pre")
    keys = product(rows, c, config.decoder.attention_size, bias=config.qkv_bias and config.key_bias)
    values = product(rows, c, config.decoder.attention_size, bias=config.qkv_bias)
    return total + config.decoder.layers * (keys + values)


def decoder_flops(
    config: EncoderDecoderConfig, batch: int, source: int, tokens: int, seen: int
) -> int:
    c, rows, stack, v = config.hidden_size, batch * tokens, config.decoder, config.vocab_size
    total = positions_flops(config, stack, batch, tokens)
    total += rows * c * (config.embedding_scale is not None)
    layer = attention_flops(config, stack, batch, tokens, seen, biased=True)
    layer += tokens * seen  # the causal mask
    cross = attention_flops(config, stack, batch, tokens, source, biased=False)
    key = product(rows, c, stack.attention_size, bias=config.qkv_bias and config.key_bias)
    value = product(rows, c, stack.attention_size, bias=config.qkv_bias)
    layer += cross - key - value  # those of the source are computed once
    layer += rows * wide_flops(config, stack) + 3 * rows * (norm_flops(config) + c)
    total += stack.layers * layer
    total += batch * norm_flops(config) * (config.norm_place == "pre")
    total += batch * c * (config.head_scale is not None)
    return total + product(batch, c, v, bias=config.head_bias) + batch * v  # the largest


def product(rows: int, k: int, n: int, *, bias: bool) -> int:
    return rows * (2 * k * n + n * bias)


def norm_flops(config: EncoderDecoderConfig) -> int:
    """Of a row."""
    c = config.hidden_size
    return 7 * c + 3 if config.norm == "layernorm" else 4 * c + 2


def wide_flops(config: EncoderDecoderConfig, stack: Stack) -> int:
    """Of the feed-forward part, a row."""
    c, f, products = config.hidden_size, stack.intermediate_size, 3 if config.gated else 2
    bias = (f + c) * config.mlp_bias
    return 2 * products * c * f + bias + f * (ACTIVATION_FLOPS[config.activation] + config.gated)


def attention_flops(
    config: EncoderDecoderConfig, stack: Stack, batch: int, tokens: int, seen: int, *, biased: bool
) -> int:
    """Of all four products, the scores, their softmax and the mix."""
    c, heads, rows = config.hidden_size, stack.attention_size, batch * tokens
    products = product(rows, c, heads, bias=config.qkv_bias) * 2
    products += product(rows, c, heads, bias=config.qkv_bias and config.key_bias)
    products += product(rows, heads, c, bias=config.attention_output_bias)
    distance = biased and stack.positions == "relative"
    return products + rows * seen * (4 * heads + (5 + distance) * stack.heads)


def positions_flops(config: EncoderDecoderConfig, stack: Stack, batch: int, tokens: int) -> int:
    c = config.hidden_size
    if stack.positions == "relative":
        return 0
    angles = tokens * c // 2 if stack.positions == "sinusoidal" else 0
    return batch * tokens * c + angles


@every_family
def test_weights_are_the_parameters_and_caches_hold_the_past_and_the_source(family: str) -> None:
    config, trace, source = traced(family, batch=3, new_tokens=4)
    assert trace.weight_bytes == 4 * parameter_count(config)
    positions = config.max_position_embeddings + source
    entry = config.decoder.layers * 3 * config.decoder.attention_size
    assert trace.bytes_of(Role.KV_CACHE) == 2 * 4 * entry * positions


@every_family
def test_a_decode_step_reads_each_weight_of_the_decoder_once_and_none_of_the_encoder(
    family: str,
) -> None:
    config, trace, _ = traced(family, batch=1, new_tokens=3)
    tables = {"embedding.token.weight", "decoder.position.weight", "decoder.attention.distance"}
    source = {f"decoder.cross.{part}" for part in ("key", "value")}
    expected = sum(
        tensor.total_bytes
        for tensor in trace.tensors
        if tensor.role is Role.WEIGHT
        and tensor.name.startswith(("decoder.", "head."))
        and tensor.name.rpartition(".")[0] not in source | tables
        and tensor.name not in tables
    )
    embedding = 4 * config.hidden_size
    expected += embedding  # the new token's row
    expected += embedding * (config.decoder.positions == "table")
    if config.decoder.positions == "relative":
        expected += 4 * config.decoder.heads * 4  # the rows of distances 0 to 3
    if config.tie_word_embeddings:
        expected += embedding * config.vocab_size
    read = sum(
        access.bytes
        for placed in trace.placed_ops()
        if placed.op.step == 2
        for access in placed.op.reads
        if trace.tensors[access.tensor].role is Role.WEIGHT
    )
    assert read == expected


@pytest.mark.parametrize("batch", [1, 3])
def test_the_activations_of_t5_are_one_buffer_each(batch: int) -> None:
    config, trace, n = traced("t5", batch=batch, new_tokens=4)
    c, f, v = config.hidden_size, config.encoder.intermediate_size, config.vocab_size
    h, heads, t, s = config.encoder.attention_size, config.encoder.heads, 2, 5
    # residual; norm and output of two parts; the norm after the layers; q k v mix; wide
    encoder_rows = batch * n * (6 * c + 4 * h + 2 * f)
    encoder_scores = (2 * batch + 1) * heads * n * n  # scores, softmax; distances
    kept = 2 * batch * n * h
    # residual; norm and output of three parts; q k v mix of the past; q mix of the source
    decoder_rows = batch * t * (7 * c + 6 * h + 2 * f)
    past = max(t * t, s)  # the first pass has two tokens, the last sees five positions
    decoder_scores = (2 * batch + 1) * heads * past + 2 * batch * heads * t * n
    last = batch * (2 * c + v)  # norm, scale, logits
    elements = encoder_rows + encoder_scores + kept + decoder_rows + decoder_scores + last
    assert trace.bytes_of(Role.ACTIVATION) == 4 * elements + 8 * batch  # the chosen token
