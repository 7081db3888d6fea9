"""A folder as Hugging Face keeps models: the weights in its safetensors, under our names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import accumulate
from pathlib import Path

from workloads.architectures.parameters import Parameter, WeightSource
from workloads.architectures.registry import parameter_shapes
from workloads.array import Shape, Values
from workloads.config import ModelConfig, ModelError, nearest
from workloads.formats.huggingface_names import BUFFERS, NAMES, SPELLINGS, Fusion, Names
from workloads.formats.safetensors import FLOATS, Safetensors

POSITIONS = "embedding.position.weight"


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where one of our weights is kept."""

    theirs: tuple[str, ...]
    """The names it may have, where N stands for the layer; the usual one first."""
    stored: Shape
    """Shape of the tensor that holds it."""
    transposed: bool
    """Whether that tensor lies [n, k]."""
    part: slice | int | None = None
    """Which columns of a fused tensor are it, or which of the shares of each head."""


def folder_weights(config: ModelConfig, dtype: str, folder: Path) -> WeightSource:
    """Weights of a folder, in an element type; nothing is read before it is asked for.

    `config` may have a smaller context than the folder's own: it then takes the first positions.
    """
    stored = Safetensors.of_folder(folder)
    shapes = parameter_shapes(config)
    places = _places(config, stored)
    heads = getattr(config, "num_attention_heads", 1)

    @cache
    def weight(name: str, layer: int | None) -> Values:
        place = places[name]
        values = stored.values(_found(stored, name, place, layer))
        values = values.T if place.transposed else values  # [n, k] -> [k, n]
        values = _share(values, place.part, heads)
        return values[: shapes[name].shape[0]].astype(dtype, copy=False)

    return weight


def check_folder(config: ModelConfig, folder: Path) -> None:
    """Raise ModelError unless a folder's weights are exactly those of its configuration.

    It names the tensor that is missing, misshaped, no floating point, or without a place in the
    model. Only headers are read.
    """
    stored = Safetensors.of_folder(folder)
    places = _places(config, stored)
    used = {
        _found(stored, name, places[name], layer, exact=True)
        for name, parameter in parameter_shapes(config).items()
        for layer in ((None,) if parameter.layers is None else range(parameter.layers))
    }
    _check_left_over(stored, _names(config, stored.where), used)


def _places(config: ModelConfig, stored: Safetensors) -> dict[str, _Place]:
    names, shapes = _names(config, stored.where), parameter_shapes(config)
    return {name: _place(names, shapes, name) for name in shapes}


def _names(config: ModelConfig, where: Path) -> Names:
    names = NAMES.get(config.model_type)
    if names is None:
        hint = nearest(config.model_type, NAMES)
        raise ModelError(f"{where}: no names of tensors for model_type '{config.model_type}'{hint}")
    return names


def _place(names: Names, shapes: dict[str, Parameter], name: str) -> _Place:
    stem, _, last = name.rpartition(".")  # attention.query, weight
    shape, part = shapes[name].shape, None
    theirs: tuple[str, ...] = ()
    for fused, ours in names.fused.items():
        if stem in ours:
            widths = [shapes[f"{one}.{last}"].shape[-1] for one in ours]
            shape, theirs = (*shape[:-1], sum(widths)), (fused,)
            part = _part(names.fusion, ours.index(stem), widths)
    if not theirs:
        theirs = tuple(table[stem] for table in (names.plain, names.also) if stem in table)
    product = len(shape) == 2 and not stem.startswith("embedding")
    transposed = product and (names.transposed or stem == "head")
    return _Place(
        theirs=tuple(_spelt(theirs, last, names.prefix)),
        stored=shape[::-1] if transposed else shape,
        transposed=transposed,
        part=part,
    )


def _spelt(stems: tuple[str, ...], last: str, prefix: str) -> Iterator[str]:
    """Every name that files use for a weight."""
    for stem in stems:
        for spelling in SPELLINGS[last]:
            yield f"{stem}.{spelling}"
            if prefix and stem.startswith(prefix):
                yield f"{stem.removeprefix(prefix)}.{spelling}"


def _part(fusion: Fusion, index: int, widths: list[int]) -> slice | int:
    if fusion == "head_by_head":
        return index
    ends = list(accumulate(widths))
    return slice(ends[index] - widths[index], ends[index])


def _share(values: Values, part: slice | int | None, heads: int) -> Values:
    """Take a weight's share [..., n] out of a fused tensor [..., all n]."""
    if part is None:
        return values
    if isinstance(part, slice):
        return values[..., part]
    by_head = values.reshape(*values.shape[:-1], heads, 3, -1)  # [..., H, 3, D]
    return by_head[..., part, :].reshape(*values.shape[:-1], -1)  # [..., H*D]


def _found(
    stored: Safetensors, name: str, place: _Place, layer: int | None, *, exact: bool = False
) -> str:
    """Return the stored name of a weight, its shape and element type checked.

    The position table may have more rows than are needed, unless it is to be `exact`.
    """
    candidates = [theirs.replace(".N.", f".{layer}.") for theirs in place.theirs]
    theirs = next((one for one in candidates if one in stored), None)
    if theirs is None:
        wanted = candidates[0] if candidates else f"for {name}"
        close = get_close_matches(wanted, stored.names, n=1)
        hint = f"; the nearest is {close[0]}" if close else "; are these weights of this model?"
        raise ModelError(f"{stored.where}: tensor {wanted} is missing{hint}")
    shape, dtype = stored.shape(theirs), stored.dtype(theirs)
    if name == POSITIONS and not exact and shape[:1] > place.stored[:1]:
        shape = (*place.stored[:1], *shape[1:])
    if name == POSITIONS and not exact and shape[:1] < place.stored[:1]:
        raise ModelError(
            f"{stored.where}: has {shape[0]} learned positions, asked for {place.stored[0]}; "
            f"set max_context to {shape[0]} or less"
        )
    if shape != place.stored:
        raise ModelError(
            f"{stored.where}: tensor {theirs} is {list(shape)}, config.json makes it "
            f"{list(place.stored)}; give the config.json that belongs to these weights"
        )
    if dtype not in FLOATS:
        raise ModelError(
            f"{stored.where}: tensor {theirs} is {dtype}; only floating point is known here "
            f"({', '.join(FLOATS)}), give weights that are not quantised"
        )
    return theirs


def _check_left_over(stored: Safetensors, names: Names, used: set[str]) -> None:
    """Refuse what a layer holds and the model would leave out: its numbers would be wrong."""
    stems = {theirs.split(".N.")[0] for theirs in names.plain.values() if ".N." in theirs}
    stems |= {stem.removeprefix(names.prefix) for stem in stems}
    of_a_layer = re.compile("|".join(rf"{re.escape(stem)}\.\d+\." for stem in sorted(stems)))
    for name in stored.names:
        if name not in used and of_a_layer.match(name) and not name.endswith(BUFFERS):
            raise ModelError(
                f"{stored.where}: tensor {name} has no place in the model that config.json "
                f"describes; check its num_hidden_layers and its biases"
            )
