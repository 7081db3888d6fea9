"""The weights of an encoder-decoder Transformer, by name.

Letters in shapes are those of `workloads.architectures.encoder_decoder`.
"""

from __future__ import annotations

from workloads.architectures.encoder_decoder import CONVOLUTION_KERNEL, CONVOLUTION_STRIDES
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig, Stack
from workloads.architectures.parameters import Parameter

Shapes = dict[str, Parameter]


def parameter_shapes(config: EncoderDecoderConfig) -> Shapes:
    """Every weight by name, in the order it lies in memory: embedding, encoder, decoder, head."""
    width, vocabulary = config.hidden_size, config.vocab_size
    shapes = {"embedding.token.weight": Parameter((vocabulary, width))}
    shapes |= convolution_shapes(config)
    shapes |= stack_shapes(config, config.encoder, "encoder", config.source_positions)
    shapes |= stack_shapes(config, config.decoder, "decoder", config.max_position_embeddings)
    if not config.tie_word_embeddings:
        shapes["head.weight"] = Parameter((width, vocabulary))
    if config.head_bias:
        shapes["head.bias"] = Parameter((vocabulary,))
    return shapes


def convolution_shapes(config: EncoderDecoderConfig) -> Shapes:
    """Weights [kernel*in, out] of the convolutions in front of the encoder, where there are any."""
    if config.mel_bins is None:
        return {}
    shapes: Shapes = {}
    read, width = config.mel_bins, config.hidden_size
    for name in CONVOLUTION_STRIDES:
        shapes[f"{name}.weight"] = Parameter((CONVOLUTION_KERNEL * read, width))
        shapes[f"{name}.bias"] = Parameter((width,))
        read = width
    return shapes


def stack_shapes(config: EncoderDecoderConfig, stack: Stack, side: str, positions: int) -> Shapes:
    """Weights of one of the two stacks: positions, layers, and the norm after them."""
    shapes: Shapes = {}
    if stack.positions == "table":
        shapes[f"{side}.position.weight"] = Parameter((positions, config.hidden_size))
    if stack.positions == "relative" and config.relative_bias is not None:
        shape = (config.relative_bias.buckets, stack.heads)
        shapes[f"{side}.attention.distance.weight"] = Parameter(shape)
    parts = ("attention",) if side == "encoder" else ("attention", "cross")
    for part in (*parts, "mlp"):
        shapes |= norm_shapes(config, f"{side}.{part}.norm", stack.layers)
    for part in parts:
        shapes |= attention_shapes(config, stack, f"{side}.{part}")
    shapes |= feed_forward_shapes(config, stack, f"{side}.mlp")
    if config.norm_place == "pre":
        shapes |= norm_shapes(config, f"{side}.norm", None)
    return shapes


def attention_shapes(config: EncoderDecoderConfig, stack: Stack, name: str) -> Shapes:
    """Weights of one attention in every layer of a stack."""
    width, heads, bias = config.hidden_size, stack.attention_size, config.qkv_bias
    return (
        product_shapes(f"{name}.query", (width, heads), stack, bias=bias)
        | product_shapes(f"{name}.key", (width, heads), stack, bias=bias and config.key_bias)
        | product_shapes(f"{name}.value", (width, heads), stack, bias=bias)
        | product_shapes(f"{name}.output", (heads, width), stack, bias=config.attention_output_bias)
    )


def feed_forward_shapes(config: EncoderDecoderConfig, stack: Stack, name: str) -> Shapes:
    """Weights of the feed-forward part in every layer of a stack."""
    width, wide, bias = config.hidden_size, stack.intermediate_size, config.mlp_bias
    shapes = product_shapes(f"{name}.up", (width, wide), stack, bias=bias)
    shapes |= product_shapes(f"{name}.down", (wide, width), stack, bias=bias)
    if config.gated:
        shapes |= product_shapes(f"{name}.gate", (width, wide), stack, bias=bias)
    return shapes


def product_shapes(name: str, shape: tuple[int, int], stack: Stack, *, bias: bool) -> Shapes:
    """Return a product's weight [k, n] and, where it has one, its bias."""
    shapes = {f"{name}.weight": Parameter(shape, stack.layers)}
    if bias:
        shapes[f"{name}.bias"] = Parameter(shape[1:], stack.layers)
    return shapes


def norm_shapes(config: EncoderDecoderConfig, name: str, layers: int | None) -> Shapes:
    """Return a norm's weight and, of a LayerNorm, its bias."""
    shapes = {f"{name}.weight": Parameter((config.hidden_size,), layers)}
    if config.norm == "layernorm":
        shapes[f"{name}.bias"] = Parameter((config.hidden_size,), layers)
    return shapes
