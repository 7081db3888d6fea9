"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sim.errors import TokenclockError


class OutputError(TokenclockError):
    """What was asked to be written cannot be written where it was asked for."""


@contextmanager
def output_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder whose files move to `out` at the end, and vanish on an error.

    Folders inside stay folders. Files that `out` has of other names stay. Whether it can be
    written is found out before the work begins: OutputError says where it cannot.
    """
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=_existing_parent(out)))
    except OSError as error:
        raise _cannot_write(out, error) from error
    try:
        yield partial
        try:
            out.mkdir(parents=True, exist_ok=True)
            for path in sorted(partial.rglob("*")):
                place = out / path.relative_to(partial)
                if path.is_dir():
                    place.mkdir(exist_ok=True)
                else:
                    path.replace(place)
        except OSError as error:
            raise _cannot_write(out, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write one file beside its place, then move it there; OutputError where that cannot be."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        try:
            partial.write_bytes(content.encode() if isinstance(content, str) else content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def json_text(content: Any) -> str:
    """Return JSON for files and for standard output: the same content, the same text."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _existing_parent(out: Path) -> Path:
    """Nearest folder that is there, mostly `out` itself: moving within it is renaming."""
    nearest = out.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest} is a file")
    if not os.access(nearest, os.W_OK):
        raise PermissionError(f"{nearest} is not writable")
    return nearest


def _cannot_write(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write '{path}': {reason}; choose another place")
