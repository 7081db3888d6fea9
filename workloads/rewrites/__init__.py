"""Rewrites: changes of a model that save bytes or flops, and what they cost in accuracy.

    rewritten = rewrite(load_model("glassllm-en"), [Quantise(bits=4, per="group", group=32)])
    compare(load_model("glassllm-en"), rewritten, prompt, 20).rows()

A rewrite is a small frozen description; `rewrite` gives a model that runs, executed or by shape,
wherever the original does.
"""

from workloads.rewrites.activations import QuantiseActivations
from workloads.rewrites.compare import RewriteReport, Sizes, compare, perplexity
from workloads.rewrites.distil import Distil
from workloads.rewrites.fuse import FuseAttention, FuseBiasActivation, FuseQkv, FuseResidualNorm
from workloads.rewrites.kv import QuantiseCache
from workloads.rewrites.low_rank import LowRank
from workloads.rewrites.model import RewrittenModel, rewrite
from workloads.rewrites.prune import PruneColumns, PruneHeads, PruneTwoOfFour, PruneWeights
from workloads.rewrites.quantise import Float8, Quantise

__all__ = [
    "Distil",
    "Float8",
    "FuseAttention",
    "FuseBiasActivation",
    "FuseQkv",
    "FuseResidualNorm",
    "LowRank",
    "PruneColumns",
    "PruneHeads",
    "PruneTwoOfFour",
    "PruneWeights",
    "Quantise",
    "QuantiseActivations",
    "QuantiseCache",
    "RewriteReport",
    "RewrittenModel",
    "Sizes",
    "compare",
    "perplexity",
    "rewrite",
]
