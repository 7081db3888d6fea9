"""Model descriptions: YAML files in the key names of Hugging Face's config.json, validated."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError
from pydantic import model_validator as validated_by

from workloads.trace import DTYPE_BYTES

Dtype = Literal["float64", "float32", "float16", "bfloat16"]


class ModelError(ValueError):
    """A model, or what it was asked to do, is not valid; the one-line message names the remedy."""


class ModelConfig(BaseModel):
    """Shape of a decoder-only Transformer, of the Llama style or of the GPT-2 style.

    The styles differ in `model_type` alone: `llama` has RMSNorm, rotary positions and SwiGLU;
    `gpt2` has LayerNorm, learned positions, GELU, and a bias with every product.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Where the numbers were published."""
    model_type: Literal["llama", "gpt2"]
    hidden_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt
    intermediate_size: PositiveInt
    vocab_size: PositiveInt
    max_position_embeddings: PositiveInt
    """Context: the most positions a prompt and its answer may take."""
    hidden_act: Literal["silu", "gelu_new"]
    tie_word_embeddings: bool
    rms_norm_eps: PositiveFloat | None = None
    layer_norm_epsilon: PositiveFloat | None = None
    rope_theta: PositiveFloat | None = None
    rope_interleaved: bool = False
    """Rotary pairs are neighbours (2i, 2i+1) instead of (i, i + D/2); not a Hugging Face key."""
    torch_dtype: Dtype = "float32"
    """Element type the weights were published in, and the default of a run."""
    weights: Literal["seeded", "glassllm/en", "glassllm/pt"] = "seeded"
    """`seeded`, or `glassllm/LANGUAGE`: weights and vocabulary of the package glassllm."""

    @validated_by(mode="after")
    def _check(self) -> Self:
        gpt2 = self.model_type == "gpt2"
        self._check_keys("gpt2", allowed=gpt2, keys=("layer_norm_epsilon",))
        self._check_keys("llama", allowed=not gpt2, keys=("rms_norm_eps", "rope_theta"))
        activation = "gelu_new" if gpt2 else "silu"
        if self.hidden_act != activation:
            raise ValueError(f"hidden_act of model_type {self.model_type} must be {activation}")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size must be a multiple of num_attention_heads")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        if not gpt2 and self.head_size % 2:
            raise ValueError("hidden_size / num_attention_heads must be even for rotary positions")
        return self

    def _check_keys(self, model_type: str, *, allowed: bool, keys: Iterable[str]) -> None:
        for key in keys:
            if (getattr(self, key) is not None) != allowed:
                fault = "is missing; add it" if allowed else f"belongs to model_type {model_type}"
                raise ValueError(f"key '{key}' {fault}")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def key_value_size(self) -> int:
        """Width of all key (or value) heads together."""
        return self.head_size * self.num_key_value_heads

    @property
    def norm_eps(self) -> float:
        """What keeps a norm's divisor from zero."""
        return self.rms_norm_eps or self.layer_norm_epsilon or 0.0

    @property
    def is_gpt2(self) -> bool:
        """Whether the style is GPT-2's: LayerNorm, learned positions, biases, GELU."""
        return self.model_type == "gpt2"

    def with_context(self, positions: int) -> ModelConfig:
        """Return the same model with another context: it sizes the position table and cache."""
        return self.model_copy(update={"max_position_embeddings": positions})


def load_config(path: Path) -> ModelConfig:
    """Read a model's YAML file; ModelError names the file, the key and the nearest valid one."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 (a SafeLoader)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid YAML: {_one_line(error)}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path}: must hold keys such as hidden_size; see workloads/models/")
    known = ModelConfig.model_fields
    for key in data:
        if key not in known:
            raise ModelError(f"{path}: unknown key '{key}'{nearest(str(key), known)}")
    for key, field in known.items():
        if field.is_required() and key not in data:
            raise ModelError(f"{path}: key '{key}' is missing; add it")
    try:
        return ModelConfig(**data)
    except ValidationError as error:
        first = error.errors()[0]
        fault = first["msg"].removeprefix("Value error, ")
        where = ""
        if first["loc"]:
            where, fault = f"key '{first['loc'][0]}': ", f"{fault}, got {first['input']!r}"
        raise ModelError(f"{path}: {where}{fault}") from error


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean '...'?` where a known word is near, else the list of them."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; valid: {', '.join(words)}"


def check_dtype(dtype: str) -> None:
    """Raise ModelError unless `dtype` is an element type that models may have."""
    floats = [name for name in DTYPE_BYTES if "float" in name]
    if dtype not in floats:
        raise ModelError(f"unknown dtype '{dtype}'{nearest(dtype, floats)}")


class _UniqueKeys(yaml.SafeLoader):
    """YAML loader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(self.construct_object(key_node))
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"key '{key}' is given twice, again in line {line}; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
