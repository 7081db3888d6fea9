"""The shape of a decoder that rewrites have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import ConfigDict

from workloads.architectures.decoder import parameter_shapes as decoder_shapes
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.parameters import Parameter
from workloads.array import Values
from workloads.config import ModelError

if TYPE_CHECKING:
    from workloads.architectures.parameters import WeightSource


class RewrittenConfig(DecoderConfig):
    """A decoder's shape after its rewrites; what they leave alone it has from the original."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    original: DecoderConfig
    rewrites: tuple[Any, ...] = ()
    """`Rewrite`s, in the order in which they were applied."""
    cache_bits: int | None = None
    """Bits of a cached key's or value's element; the run's element type by default."""
    fused: frozenset[str] = frozenset()
    """What is computed in one operation: `qkv`, `bias_activation`, `residual_norm`, `attention`."""
    attention_tile: int = 64
    """Positions that fused attention takes at a time."""

    def with_context(self, positions: int) -> Self:
        """Return the same model with another context, rewritten likewise."""
        return self.model_copy(
            update={
                "max_position_embeddings": positions,
                "original": self.original.with_context(positions),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Form:
    """A model while it is rewritten: its shape, its weights' shapes and, where asked, numbers."""

    config: RewrittenConfig
    parameters: dict[str, Parameter]
    dtype: str = "float32"
    """Element type of the run."""
    weight: WeightSource | None = None
    """Gives the numbers; None where only shapes are asked for."""

    def numbers(self, name: str, layer: int | None) -> Values:
        """Return a weight's numbers in one layer."""
        if self.weight is None:
            raise ModelError(f"{name} has no numbers here: only the model's shape was asked for")
        return self.weight(name, layer)


class Rewrite(Protocol):
    """A small frozen description of a change, which knows how to make it."""

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        ...

    def apply(self, form: Form) -> Form:
        """Return the changed form; ModelError where the model is not one for this rewrite."""
        ...


def rewritten_form(
    config: RewrittenConfig, *, dtype: str = "float32", weight: WeightSource | None = None
) -> Form:
    """Apply a configuration's rewrites to its original, of which `weight` gives the numbers."""
    return apply_all(config.original, config.rewrites, dtype=dtype, weight=weight)


def apply_all(
    original: DecoderConfig,
    rewrites: tuple[Rewrite, ...],
    *,
    dtype: str = "float32",
    weight: WeightSource | None = None,
) -> Form:
    """Apply rewrites one after another; ModelError where one does not fit what it finds."""
    inherited = {name: getattr(original, name) for name in type(original).model_fields}
    form = Form(
        config=RewrittenConfig(original=original, rewrites=rewrites, **inherited),
        parameters=decoder_shapes(original),
        dtype=dtype,
        weight=weight,
    )
    for rewrite in rewrites:
        form = rewrite.apply(form)
    return form
