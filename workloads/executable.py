"""What can be run with numbers, and what by its shape only."""

from __future__ import annotations

from workloads.architectures.registry import parameter_count
from workloads.config import ModelConfig, ModelError
from workloads.trace import DTYPE_BYTES

EXECUTABLE_BYTES = 2 * 2**30
"""Weights larger than this are traced without numbers: numpy would take minutes, and the memory."""


def check_executable(name: str, config: ModelConfig, dtype: str) -> None:
    """Raise ModelError where numpy has no such element type, or the weights are too large."""
    if dtype == "bfloat16":
        raise ModelError(
            "numpy has no bfloat16; choose float32, or trace by shape: a number of prompt tokens "
            "(`--prompt-tokens`), in Python with execute=False"
        )
    weight_bytes = parameter_count(config) * DTYPE_BYTES[dtype]
    if weight_bytes > EXECUTABLE_BYTES:
        raise ModelError(
            f"{name} has {weight_bytes / 2**30:.1f} GiB of weights, more than the "
            f"{EXECUTABLE_BYTES / 2**30:.0f} GiB that are executed; trace with execute=False"
        )
