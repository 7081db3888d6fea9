"""A model's operations as RV64 programs, in assembly text: scalar float32."""

from __future__ import annotations

from importlib.resources import files

NAMES = ("matmul", "gemm", "exp", "softmax", "rmsnorm", "rope", "elementwise", "layernorm", "move")


def kernel_text() -> str:
    """Return all kernels as one text; each is called with its arguments in a0 to a7 and fa0."""
    folder = files(__package__)
    return "\n".join(folder.joinpath(f"{name}.s").read_text(encoding="utf-8") for name in NAMES)
