"""`njit` whose stored code is used only while every source that it may hold is unchanged.

numba keeps compiled code beside a module and trusts it until that one file changes; but compiled
code also holds what the module imports: functions that are inlined, constants. Here the stamp of
stored code covers a module and all that it imports from this package, directly or not. Compiled
modules take `njit` from here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from numba import config, njit

__all__ = ["njit", "source_stamp"]

PACKAGE = Path(__file__).parent
LOCATORS = (
    "sim.jit_locators.UserProvided",
    "sim.jit_locators.InTree",
    "sim.jit_locators.UserWide",
    "UserProvidedCacheLocator",
    "InTreeCacheLocator",
    "UserWideCacheLocator",
    "IPythonCacheLocator",
    "ZipCacheLocator",
)
"""Ours, then numba's own for functions elsewhere."""
_IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)
_COMMENT = re.compile(r"#[^\n]*")
_NAME = re.compile(r"\b\w+\b")


@cache
def source_stamp(source: Path, package: Path = PACKAGE) -> bytes:
    """Return a digest of a module's source and of all it imports from a package."""
    digest = hashlib.sha256()
    for path in sorted(_needed(source.resolve(), package.resolve())):
        digest.update(str(path.relative_to(package.parent.resolve())).encode())
        digest.update(_read(path)[0])
    return digest.digest()


def _needed(source: Path, package: Path) -> set[Path]:
    """Return a module's source, those of what it imports, of what these import, and so on."""
    found, waiting = {source}, [source]
    while waiting:
        for module in _read(waiting.pop())[1]:
            path = _source_of(module, package)
            if path is not None and path not in found:
                found.add(path)
                waiting.append(path)
    return found


@cache
def _read(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the digest of a source, and the dotted names that it may import."""
    content = path.read_bytes()
    return hashlib.sha256(content).digest(), tuple(_imported(content.decode()))


def _imported(text: str) -> Iterator[str]:
    """Give what import statements name; of `from a import b`, both `a` and `a.b`."""
    for origin, names, modules in _IMPORTS.findall(_COMMENT.sub("", text)):
        if origin:
            yield origin
            yield from (f"{origin}.{name}" for name in _NAME.findall(names))
        else:
            yield from (part.split()[0] for part in modules.split(",") if part.strip())


@cache
def _source_of(module: str, package: Path) -> Path | None:
    """Return where a module of the package is, None for all else."""
    first, *parts = module.split(".")
    if first != package.name:
        return None
    place = package.joinpath(*parts)
    options = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in options if path.is_file()), None)


# Read by numba for each function; one that does not know it yet keeps to the single file.
setattr(config, "CACHE_LOCATOR_CLASSES", ",".join(LOCATORS))  # noqa: B010 - older ones lack it
