"""The weights of the package g2p-en 2.1.0, read from its npz file; none of its code is run."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from workloads.architectures.parameters import WeightSource
from workloads.architectures.registry import parameter_shapes
from workloads.array import Shape, Values
from workloads.config import ModelConfig, ModelError
from workloads.packages import G2P, package_file

FILE = "checkpoint20.npz"

STORED_NAMES = {
    "encoder.embedding.token.weight": "enc_emb",
    "encoder.cell.input.weight": "enc_w_ih",
    "encoder.cell.input.bias": "enc_b_ih",
    "encoder.cell.hidden.weight": "enc_w_hh",
    "encoder.cell.hidden.bias": "enc_b_hh",
    "decoder.embedding.token.weight": "dec_emb",
    "decoder.cell.input.weight": "dec_w_ih",
    "decoder.cell.input.bias": "dec_b_ih",
    "decoder.cell.hidden.weight": "dec_w_hh",
    "decoder.cell.hidden.bias": "dec_b_hh",
    "head.weight": "fc_w",
    "head.bias": "fc_b",
}
"""Our name -> the name in the file, which holds the weights of products transposed."""


def g2p_weights(config: ModelConfig, dtype: str, path: Path | None = None) -> WeightSource:
    """Weights of the installed package, or of another such file.

    ModelError where there is none, where it is damaged, or does not fit the configuration.
    """
    path = path or package_file(G2P, FILE)
    stored = _read(path)
    shapes = parameter_shapes(config)
    for name, parameter in shapes.items():
        _check(path, name, parameter.shape, parameter.layers or 1, stored)
    numbers = {
        name: _ours(name, stored[STORED_NAMES[name]]).astype(dtype, order="C") for name in shapes
    }

    def weight(name: str, _layer: int | None) -> Values:
        return numbers[name]

    return weight


def _read(path: Path) -> Mapping[str, Values]:
    try:
        # opened here, since numpy leaves a file that is no archive open
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, AttributeError, BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{path}: not a readable npz file ({reason}); {G2P.remedy} again"
        ) from error


def _ours(name: str, stored: Values) -> Values:
    """Products are [k, n] here and [n, k] there; a table of rows is the same in both."""
    is_product = name.endswith(".weight") and "embedding" not in name
    return stored.T if is_product else stored


def _check(path: Path, name: str, shape: Shape, layers: int, stored: Mapping[str, Values]) -> None:
    values = stored.get(STORED_NAMES.get(name, ""))
    if values is None or layers != 1 or _ours(name, values).shape != shape:
        found = "nothing" if values is None else list(_ours(name, values).shape)
        raise ModelError(
            f"{path}: holds {found} for {name}, the configuration says {list(shape)} in "
            f"{layers} layers; use the shapes of workloads/models/g2p-en.yaml"
        )
    if values.dtype.kind != "f":
        raise ModelError(f"{path}: {name} is {values.dtype}, not floating; {G2P.remedy} again")
