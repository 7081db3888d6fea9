"""What rewrites of weights share: which products they take, and how the stored form changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache

from workloads.architectures.parameters import Parameter
from workloads.architectures.rewritten_config import Form
from workloads.array import Values
from workloads.config import ModelError, nearest

WEIGHT = ".weight"


def plain_products(form: Form, where: str = "*") -> tuple[str, ...]:
    """Products that match a pattern such as `mlp.*` and whose weights are stored whole.

    Embeddings are none, also where one serves as the head. ModelError where nothing is left.
    """
    names = [
        name.removesuffix(WEIGHT)
        for name, parameter in form.parameters.items()
        if name.endswith(WEIGHT) and _is_plain(name, parameter)
    ]
    if not names:
        raise ModelError("no product's weights are stored whole any more; put this rewrite first")
    chosen = tuple(name for name in names if fnmatchcase(name, where))
    if not chosen:
        raise ModelError(f"no product of whole weights matches '{where}'{nearest(where, names)}")
    return chosen


def need_plain(form: Form, names: Collection[str]) -> None:
    """Raise ModelError unless each product of these names is stored whole."""
    for name in names:
        parameter = form.parameters.get(name + WEIGHT)
        if parameter is None or not _is_plain(name, parameter):
            raise ModelError(f"{name} is not stored whole any more; put this rewrite first")


def _is_plain(name: str, parameter: Parameter) -> bool:
    return (
        len(parameter.shape) == 2 and parameter.dtype is None and not name.startswith("embedding.")
    )


def stored_as(
    form: Form,
    names: Collection[str],
    shapes: Callable[[Parameter], Mapping[str, Parameter]],
    make: Callable[[Values], Mapping[str, Values]],
) -> Form:
    """Store some products' weights in another form.

    `shapes` gives the parts of the new form, by the endings of their names, and `make` their
    numbers from those of a whole weight [k, n].
    """
    parameters: dict[str, Parameter] = {}
    sources: dict[str, tuple[str, str]] = {}
    for name, parameter in form.parameters.items():
        product = name.removesuffix(WEIGHT)
        if product == name or product not in names:
            parameters[name] = parameter
            continue
        for part, shape in shapes(parameter).items():
            parameters[f"{product}.{part}"] = shape
            sources[f"{product}.{part}"] = (name, part)

    @cache
    def made(name: str, layer: int | None) -> Mapping[str, Values]:
        return make(form.numbers(name, layer))

    def weight(name: str, layer: int | None) -> Values:
        if name not in sources:
            return form.numbers(name, layer)
        source, part = sources[name]
        return made(source, layer)[part]

    return replace(form, parameters=parameters, weight=weight if form.weight else None)
