"""The key-value cache in few bits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workloads.architectures.rewritten_config import Form
from workloads.config import ModelError


@dataclass(frozen=True, kw_only=True)
class QuantiseCache:
    """Round keys and values as they are remembered; a scale for each position and head.

    Symmetric whole numbers of 8 or 4 bits. Keys are rounded after their rotation. Scores and mix
    read the narrow cache; their arithmetic stays in the run's element type. (Sheng et al. 2023,
    arXiv:2303.06865, round in groups likewise.)
    """

    bits: int = 8

    def __post_init__(self) -> None:
        if self.bits not in {4, 8}:
            raise ModelError(f"a cache of {self.bits} bits is not known; choose 4 or 8")

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"int{self.bits}-cache"

    def apply(self, form: Form) -> Form:
        """Give the cache few bits."""
        if "attention" in form.config.fused:
            raise ModelError("fused attention reads no rounded cache; take one of the two")
        return replace(form, config=form.config.model_copy(update={"cache_bits": self.bits}))
