"""What a prefetcher of a cache level is, as data."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sim.spec import Strict
from sim.units import parse_quantity

Size = Annotated[
    int,
    BeforeValidator(lambda raw: parse_quantity(raw, "bytes") if isinstance(raw, str) else raw),
]
"""Whole bytes, or text such as `32 KiB`."""


class PrefetcherSpec(Strict):
    """What all prefetchers have."""

    degree: int = Field(default=1, ge=1)
    """Lines asked for at a time."""
    distance: int = Field(default=1, ge=1)
    """How far ahead of the access: see each kind."""
    page_bytes: Size = Field(default=4096, ge=1)
    """Addresses are physical: what lies on the next page is not known."""
    queue_lines: int = Field(default=32, ge=1)
    """Lines that may wait until the access is over; further ones are dropped."""

    @model_validator(mode="after")
    def _pages(self) -> Self:
        if self.page_bytes & (self.page_bytes - 1):
            raise ValueError(f"page_bytes {self.page_bytes} is no power of two")
        return self


class NextLineSpec(PrefetcherSpec):
    """The next lines, on a miss and on the first use of a prefetched line.

    The first one stands `distance` lines ahead.
    """

    kind: Literal["next_line"] = "next_line"


class StrideSpec(PrefetcherSpec):
    """Constant strides, one a page.

    The first line asked for stands `distance` strides ahead.
    """

    kind: Literal["stride"] = "stride"
    entries: int = Field(default=16, ge=1)
    """Pages of which the last line and stride are known."""
    confidence: int = Field(default=2, ge=1)
    """Times in a row that a stride is seen before it is followed."""


class StreamSpec(PrefetcherSpec):
    """Several streams of lines, upwards or downwards.

    The last line asked for stands at most `distance` lines ahead. What is not said is the middle
    setting of Srinath et al., Feedback directed prefetching, HPCA 2007.
    """

    kind: Literal["stream"] = "stream"
    degree: int = Field(default=2, ge=1)
    """Lines asked for at a time, until the stream is as far ahead as it may be."""
    distance: int = Field(default=16, ge=1)
    """Lines that a stream may be ahead of its last access."""
    entries: int = Field(default=16, ge=1)
    """Streams followed at once."""
    confidence: int = Field(default=2, ge=1)
    """Misses in one direction, after the first, that make a stream."""
    window: int = Field(default=16, ge=1)
    """Lines between two such misses, at most."""


AnyPrefetcher = Annotated[NextLineSpec | StrideSpec | StreamSpec, Field(discriminator="kind")]
"""One of them, by its `kind`."""
