"""The kernels that come with the package, by name and instruction set."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sim.cpu.kernelcores.read import parse_kernel, read_kernel
from sim.cpu.kernelcores.text import Kernel, KernelError
from sim.errors import did_you_mean

FOLDER = Path(__file__).parent / "kernels"


@cache
def packaged_names(isa: str) -> tuple[str, ...]:
    """Return the names of an instruction set's kernels, in order."""
    return tuple(sorted(path.stem for path in (FOLDER / isa).glob("*.s")))


@cache
def packaged_text(isa: str, name: str) -> str:
    """Return a kernel's assembly text; FileNotFoundError for a name that has none."""
    return (FOLDER / isa / f"{name}.s").read_text(encoding="utf-8")


def packaged_about(isa: str, name: str) -> str:
    """Return the first sentence of a kernel's comment."""
    lines = packaged_text(isa, name).splitlines()
    comment = " ".join(line.lstrip("#/ ") for line in lines if line.startswith(("#", "//")))
    return comment.partition(". ")[0].partition(": ")[0].rstrip(".")


def named_kernel(name: str, isa: str) -> Kernel:
    """Read a packaged kernel by its name, or any by its path.

    What has no suffix and is no file is a name. KernelError where there is no such kernel, or it
    cannot be understood.
    """
    if Path(name).suffix or Path(name).is_file():
        return read_kernel(Path(name), isa)
    known = packaged_names(isa)
    if name not in known:
        raise KernelError(
            f"no kernel of {isa} is named '{name}' (`tokenclock kernel --list` lists them; a file "
            f"is ./{name}.s){did_you_mean(name, known)}"
        )
    return parse_kernel(packaged_text(isa, name), isa, name=f"{isa}/{name}.s")
