"""Training: the backward pass, optimisers, schedules, loss scaling, early stopping."""

from workloads.training.backward import backward
from workloads.training.batches import Batch
from workloads.training.early_stopping import EarlyStopping
from workloads.training.optimisers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    Optimiser,
    RMSProp,
)
from workloads.training.scaling import LossScale
from workloads.training.schedules import Schedule, constant, cosine, inverse_sqrt, linear

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Batch",
    "EarlyStopping",
    "LossScale",
    "Optimiser",
    "RMSProp",
    "Schedule",
    "backward",
    "constant",
    "cosine",
    "inverse_sqrt",
    "linear",
]
