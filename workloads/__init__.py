"""What a language model does, operation by operation, without a thought for hardware."""

from workloads.answer import Answer, answer
from workloads.architectures.registry import (
    active_parameter_count,
    parameter_count,
    parameter_shapes,
)
from workloads.array import Array
from workloads.config import ModelConfig, ModelError
from workloads.descriptions import load_config, read_config
from workloads.encode import Encoding, encode
from workloads.generate import Generation, generate
from workloads.jobs import Job, job_names, load_job, run_job
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
from workloads.train import Training, train
from workloads.transcribe import Transcript, transcribe
from workloads.work import work
from workloads.zoo import Model, load_model, model_names

__all__ = [
    "DTYPE_BYTES",
    "FAMILY_DIMS",
    "Access",
    "Answer",
    "Array",
    "Block",
    "Encoding",
    "Family",
    "Generation",
    "Job",
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
    "Training",
    "Transcript",
    "active_parameter_count",
    "answer",
    "encode",
    "generate",
    "job_names",
    "load_config",
    "load_job",
    "load_model",
    "model_names",
    "parameter_count",
    "parameter_shapes",
    "read_config",
    "recur",
    "run_job",
    "train",
    "transcribe",
    "work",
]
