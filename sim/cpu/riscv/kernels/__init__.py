"""A model's operations as RV64 programs, in assembly text: float32."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

NAMES = ("matmul", "gemm", "exp", "softmax", "rmsnorm", "rope", "elementwise", "layernorm", "move")
VECTOR_NAMES = (
    "matmul_vector",
    "gemm_vector",
    "exp_vector",
    "softmax_vector",
    "norm_vector",
    "rope_vector",
    "elementwise_vector",
    "move_vector",
    "exp",
    "gemm",
)
"""With the vector extension; `exp` has the constants, `gemm` the packing of A."""


def kernel_text(names: Sequence[str] = NAMES) -> str:
    """Return kernels as one text; each is called with its arguments in a0 to a7 and fa0."""
    folder = files(__package__)
    return "\n".join(folder.joinpath(f"{name}.s").read_text(encoding="utf-8") for name in names)
