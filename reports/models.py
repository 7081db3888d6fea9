"""What a model is, in numbers: sizes, and what one more token costs.

The costs come from a trace by shape of one decode step, so they hold for any architecture that can
be traced; a kind that cannot is listed with the reason.
"""

from __future__ import annotations

from math import prod
from typing import Any

from workloads import DTYPE_BYTES, Model, ModelError, Phase, Role, parameter_shapes, work
from workloads.architectures.encoder_config import EncoderConfig
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig
from workloads.architectures.registry import architecture_of
from workloads.trace import Trace

CONTEXT_TOKENS = 1024
"""Positions seen by the token whose cost is given, where nothing else is asked for."""

Facts = dict[str, Any]


def model_facts(model: Model, context_tokens: int = CONTEXT_TOKENS) -> Facts:
    """Return a model's sizes and the cost of one token that sees `context_tokens` positions.

    The token itself is one of them; a shorter context counts as far as a token can be fed back.
    What is per token is None where no step could be traced; `untraced` then says why.
    """
    config = model.config
    facts = {
        "name": model.name,
        "kind": architecture_of(config).name,
        "architecture": config.model_type,
        "parameters": model.parameter_count,
        "dtype": config.torch_dtype,
        "weight_bytes": model.parameter_count * DTYPE_BYTES[config.torch_dtype],
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "vocabulary": config.vocab_size,
        "context_tokens": config.max_position_embeddings,
        "text": model.tokenizer is not None,
        "weights": model.weights_source,
        "source": config.source,
    }
    return facts | _token_facts(model, context_tokens)


def parameter_rows(model: Model) -> list[Facts]:
    """Return one mapping a weight: shape of one layer's, layers, parameters and share of all."""
    total = model.parameter_count
    rows = []
    for name, parameter in parameter_shapes(model.config).items():
        layers = parameter.layers or 1
        count = prod(parameter.shape) * layers
        rows.append(
            {
                "name": name,
                "shape": list(parameter.shape),
                "layers": layers,
                "parameters": count,
                "share": count / total,
            }
        )
    return rows


def _token_facts(model: Model, context_tokens: int) -> Facts:
    seen = min(context_tokens, model.config.max_position_embeddings - 1)
    facts: Facts = {
        "seen_tokens": seen,
        "flops_per_token": None,
        "bytes_per_token": None,
        "kv_bytes_per_token": None,
        "untraced": "",
    }
    if seen < 2:
        return facts | {"untraced": f"a decode step needs 2 positions or more, not {seen}"}
    try:
        if isinstance(model.config, EncoderConfig):
            return facts | _pass_costs(work(model, prompt_tokens=seen).trace, seen)
        source = seen - 1
        if isinstance(model.config, EncoderDecoderConfig) and model.config.mel_bins is not None:
            source = model.config.source_frames  # sound has one length, whatever is said of it
        return facts | _decode_costs(work(model, prompt_tokens=source, new_tokens=2).trace)
    except ModelError as error:
        return facts | {"untraced": str(error)}


def _pass_costs(trace: Trace, tokens: int) -> Facts:
    """Share a pass of a model that only reads among its tokens."""
    steps = [op for block in trace.blocks for op in block.ops * block.repeats]
    return {
        "flops_per_token": sum(op.flops for op in steps) // tokens,
        "bytes_per_token": sum(op.bytes_read + op.bytes_written for op in steps) // tokens,
        "kv_bytes_per_token": 0,
    }


def _decode_costs(trace: Trace) -> Facts:
    steps = [op for block in trace.blocks for op in block.ops * block.repeats]
    decode = [op for op in steps if op.phase is Phase.DECODE]
    written = sum(
        access.bytes
        for op in decode
        for access in op.writes
        if trace.tensors[access.tensor].role is Role.KV_CACHE
    )
    return {
        "flops_per_token": sum(op.flops for op in decode),
        "bytes_per_token": sum(op.bytes_read + op.bytes_written for op in decode),
        "kv_bytes_per_token": written,
    }
