"""Where numba stores this package's compiled code: where it would too, under our stamp.

numba imports this when it stores or looks for code; `sim.jit` has named it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numba.core.caching import (
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)

from sim.jit import PACKAGE, source_stamp


class _OfPackage:
    """Part of a locator: for modules of this package alone, with their stamp."""

    _py_file: str

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """Return a locator for a function, None where another kind must be tried."""
        if not Path(py_file).resolve().is_relative_to(PACKAGE.resolve()):
            return None
        return super().from_function(py_func, py_file)  # type: ignore[misc] # of numba's locator

    def get_source_stamp(self) -> bytes:
        """Return what must be unchanged for stored code to be used."""
        return source_stamp(Path(self._py_file))


class UserProvided(_OfPackage, UserProvidedCacheLocator):
    """In the folder that NUMBA_CACHE_DIR names, if it is set."""


class InTree(_OfPackage, InTreeCacheLocator):
    """Beside the module."""


class UserWide(_OfPackage, UserWideCacheLocator):
    """In the user's cache, where the module's folder is read-only."""
