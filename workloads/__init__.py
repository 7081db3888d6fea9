"""What a language model does, operation by operation, without a thought for hardware."""

from workloads.architectures.registry import parameter_count, parameter_shapes
from workloads.array import Array
from workloads.config import ModelConfig, ModelError
from workloads.descriptions import load_config, read_config
from workloads.generate import Generation, generate
from workloads.ops import ShapeError
from workloads.recur import recur
from workloads.trace import (
    DTYPE_BYTES,
    FAMILY_DIMS,
    Access,
    Block,
    Family,
    Op,
    Phase,
    PlacedOp,
    Role,
    Tensor,
    Trace,
    TraceError,
)
from workloads.tracer import Tracer
from workloads.zoo import Model, load_model, model_names

__all__ = [
    "DTYPE_BYTES",
    "FAMILY_DIMS",
    "Access",
    "Array",
    "Block",
    "Family",
    "Generation",
    "Model",
    "ModelConfig",
    "ModelError",
    "Op",
    "Phase",
    "PlacedOp",
    "Role",
    "ShapeError",
    "Tensor",
    "Trace",
    "TraceError",
    "Tracer",
    "generate",
    "load_config",
    "load_model",
    "model_names",
    "parameter_count",
    "parameter_shapes",
    "read_config",
    "recur",
]
