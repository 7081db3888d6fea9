"""What a decoder computes and moves, from the published shapes alone.

Written independently of the library: no operation is walked, only extents are multiplied.
"""

from collections.abc import Iterator
from typing import NamedTuple

from workloads.architectures.decoder_config import DecoderConfig

ACTIVATION_FLOPS = {"silu": 2, "gelu": 4, "gelu_new": 8, "relu": 1}


class Pass(NamedTuple):
    """One pass through the model."""

    config: DecoderConfig
    batch: int
    tokens: int
    positions: int
    """Seen so far, this pass included."""

    @property
    def rows(self) -> int:
        return self.batch * self.tokens

    def seen(self) -> Iterator[tuple[int, bool]]:
        """Of each layer: cached positions that any token sees, and whether a window hides some."""
        config, window = self.config, self.config.sliding_window
        for layer in range(config.num_hidden_layers):
            slides = {"all": True, "even": layer % 2 == 0, "odd": layer % 2 == 1}
            local = window is not None and slides[config.sliding_layers]
            yield min(self.positions, window + self.tokens - 1) if local else self.positions, local


def passes(config: DecoderConfig, batch: int, prompt: int, new: int) -> list[Pass]:
    """The prefill, then a pass for each further token."""
    decode = [Pass(config, batch, 1, prompt + n) for n in range(1, new)]
    return [Pass(config, batch, prompt, prompt), *decode]


def norms_per_layer(config: DecoderConfig) -> int:
    return 1 + (config.parallel != "one_norm") + 2 * config.norm_after


def parameters(config: DecoderConfig) -> int:
    """Count of all weights."""
    c, f, v = config.hidden_size, config.intermediate_size, config.vocab_size
    q = config.num_attention_heads * config.head_dim
    kv = config.num_key_value_heads * config.head_dim
    norm = c * (2 if config.norm == "layernorm" else 1)
    layer = 2 * c * q + 2 * c * kv + (3 if config.gated else 2) * c * f
    layer += (q + 2 * kv) * config.qkv_bias + c * config.attention_output_bias
    layer += (f * (2 if config.gated else 1) + c) * config.mlp_bias
    layer += norms_per_layer(config) * norm
    table = (config.max_position_embeddings + config.position_offset) * c
    whole = v * c * (1 if config.tie_word_embeddings else 2) + v * config.head_bias
    whole += table * (config.positions == "learned") + norm * (1 + config.embedding_norm)
    return config.num_hidden_layers * layer + whole


def flops(one: Pass, *, sampled: bool) -> int:
    """Additions, multiplications, divisions, comparisons."""
    config, rows = one.config, one.rows
    c, f, v = config.hidden_size, config.intermediate_size, config.vocab_size
    heads, q = config.num_attention_heads, config.num_attention_heads * config.head_dim
    kv = config.num_key_value_heads * config.head_dim

    def norm(rows: int) -> int:
        return rows * (7 * c + 3 if config.norm == "layernorm" else 4 * c + 2) + (
            c * config.norm_offset
        )

    layer = 2 * rows * (2 * c * q + 2 * c * kv + (3 if config.gated else 2) * c * f)
    layer += rows * ((q + 2 * kv) * config.qkv_bias + c * config.attention_output_bias)
    layer += rows * (f * (2 if config.gated else 1) + c) * config.mlp_bias
    layer += rows * f * (ACTIVATION_FLOPS[config.activation] + config.gated)
    layer += norms_per_layer(config) * norm(rows) + 2 * rows * c
    if config.positions == "rotary":
        turned = config.rotated * (heads + config.num_key_value_heads)
        layer += 3 * rows * turned + one.tokens * config.rotated  # of q and of k: rotated / 2
    total = config.num_hidden_layers * layer
    each = 5 + 2 * (config.attention_softcap is not None) + (config.positions == "alibi")
    for seen, local in one.seen():
        total += 4 * rows * q * seen + each * rows * heads * seen
        total += (1 + local + heads * (config.positions == "alibi")) * one.tokens * seen
    total += rows * c * ((config.positions == "learned") + (config.embedding_scale is not None))
    total += norm(rows) * config.embedding_norm + norm(one.batch)
    total += one.batch * v * (2 * c + config.head_bias + 2 * (config.logit_softcap is not None))
    return total + one.batch * (6 * v + 1 if sampled else v)


def transcendentals(one: Pass, *, sampled: bool) -> int:
    """Exponentials, roots, tangents, sines and cosines."""
    config, rows = one.config, one.rows
    layer = norms_per_layer(config) * rows
    layer += rows * config.intermediate_size * (config.activation != "relu")
    if config.positions == "rotary":
        layer += 2 * one.tokens * config.rotated
    capped = config.attention_softcap is not None
    scores = sum(rows * config.num_attention_heads * seen for seen, _ in one.seen())
    outside = rows * config.embedding_norm + one.batch
    chosen = one.batch * config.vocab_size * ((config.logit_softcap is not None) + sampled)
    return config.num_hidden_layers * layer + (1 + capped) * scores + outside + chosen


def cache_bytes_read(one: Pass) -> int:
    """Keys and values, 4 bytes an element."""
    position = one.batch * one.config.num_key_value_heads * one.config.head_dim * 4
    return sum(2 * position * seen for seen, _ in one.seen())


def cache_bytes_written(one: Pass) -> int:
    """Keys and values of this pass's tokens, 4 bytes an element."""
    kv = one.config.num_key_value_heads * one.config.head_dim
    return one.config.num_hidden_layers * 2 * one.rows * kv * 4


def activation_bytes_written(one: Pass) -> int:
    """Every intermediate result, 4 bytes an element; the chosen tokens have 8."""
    config, rows = one.config, one.rows
    c, f, v = config.hidden_size, config.intermediate_size, config.vocab_size
    q = config.num_attention_heads * config.head_dim
    kv = config.num_key_value_heads * config.head_dim
    rotary = config.positions == "rotary"
    layer = (norms_per_layer(config) + 2) * rows * c  # norms; the residual, twice
    layer += rows * ((q + 2 * kv) * (1 + config.qkv_bias) + (q + kv) * rotary + q)  # and the mix
    layer += rows * c * (1 + config.attention_output_bias)
    layer += rows * f * (2 if config.gated else 1) * (1 + config.mlp_bias)
    layer += rows * f + rows * c * (1 + config.mlp_bias)
    total = config.num_hidden_layers * layer
    total += sum(2 * rows * config.num_attention_heads * seen for seen, _ in one.seen())
    embedded = (config.embedding_scale is not None) + config.embedding_norm
    total += rows * c * (1 + embedded + (config.positions == "learned")) + one.batch * c
    total += one.batch * v * (1 + config.head_bias + (config.logit_softcap is not None))
    return 4 * total + 8 * one.batch
