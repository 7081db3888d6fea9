"""What a CPU's description says whose cores execute micro-kernels in their own instruction set."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from sim.cpu.kernelcores import CoreSpec, KernelError, parse_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelmachines.loops import core_named
from sim.cpu.spec import CachedCpuSpec
from sim.spec import Strict

WIDTHS: dict[str, tuple[int, ...]] = {
    "x86_64": (128, 256, 512),
    "aarch64": (128,),
    "riscv64": (32,),
}
"""Bits of a register of the packaged kernels, by instruction set; 32 is one float32 at a time."""
FIRST_LOAD = {
    "x86_64": "mov rax, [rsi]",
    "aarch64": "ldr x0, [x1]",
    "riscv64": "ld a0, 0(a1)",
}


class KernelCoreSpec(Strict):
    """Which core of `kernelcores`, how many of them, how wide its kernels are."""

    kernel_core: str
    """Name of a core, as `tokenclock kernel --core` takes it."""
    vector_bits: int
    """Of the registers that kernels use; at most what the core has."""
    count: int = Field(ge=1)

    @field_validator("kernel_core")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            core_named(name)
        except KernelError as error:
            raise ValueError(str(error)) from error
        return name

    @model_validator(mode="after")
    def _width_exists(self) -> Self:
        core = self.core
        widths = [w for w in WIDTHS[core.isa] if w <= (core.widest_vector_bits or 0)]
        if self.vector_bits not in widths:
            known = ", ".join(map(str, widths)) or "none: give the core `widest_vector_bits`"
            raise ValueError(
                f"{self.kernel_core} has no kernels of vector_bits {self.vector_bits}; "
                f"write one of: {known}"
            )
        return self

    @property
    def core(self) -> CoreSpec:
        """The core's own description."""
        return core_named(self.kernel_core)

    @property
    def lanes(self) -> int:
        """Elements of float32 in a register."""
        return self.vector_bits // 32


class KernelCpuSpec(CachedCpuSpec):
    """A CPU of such cores, their private caches, and a last cache that they share."""

    core: KernelCoreSpec

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        levels = self.levels
        shared = [level.shared for level in levels]
        if not shared[-1] or any(shared[:-1]) or not 2 <= len(levels) <= 3:
            raise ValueError("cores need one or two private caches and a last one, `shared: true`")
        hit = _first_load_cycles(self.core.core)
        if levels[0].hit_cycles != hit:
            raise ValueError(
                f"the first cache must hit in {hit} cycles, the load latency in the tables of "
                f"{self.core.kernel_core}"
            )
        return self

    @property
    def core_count(self) -> int:
        """Cores that share the last cache."""
        return self.core.count

    @property
    def streams_ahead(self) -> bool:
        """Out-of-order windows and hardware prefetchers fetch streams ahead."""
        return True


def _first_load_cycles(core: CoreSpec) -> int:
    """Return the latency of an integer load that hits."""
    body = build_body(parse_kernel(FIRST_LOAD[core.isa], core.isa), core)
    return sum(op.latency for op in body.micro_ops)
