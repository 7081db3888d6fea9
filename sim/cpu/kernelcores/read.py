"""Which instruction set a kernel is in, and reading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sim.cpu.kernelcores.aarch64 import parse_aarch64
from sim.cpu.kernelcores.riscv import parse_riscv
from sim.cpu.kernelcores.text import Kernel, KernelError
from sim.cpu.kernelcores.x86 import parse_x86
from sim.errors import did_you_mean

PARSERS: Mapping[str, Callable[[str, str], Kernel]] = {
    "x86_64": parse_x86,
    "aarch64": parse_aarch64,
    "riscv64": parse_riscv,
}
"""By name of the instruction set, as a core's file has it."""


def parse_kernel(text: str, isa: str, *, name: str = "kernel") -> Kernel:
    """Parse a loop body; KernelError names `name`, the line and a remedy."""
    if isa not in PARSERS:
        raise KernelError(f"no instruction set is named '{isa}'{did_you_mean(isa, PARSERS)}")
    return PARSERS[isa](text, name)


def read_kernel(path: Path, isa: str) -> Kernel:
    """Read a kernel's file; KernelError where it is missing or cannot be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KernelError(f"{path}: cannot be read ({error}); give an assembly file") from error
    return parse_kernel(text, isa, name=str(path))
