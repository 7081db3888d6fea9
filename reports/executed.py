"""What came of executing a model: operations, steps, tokens, and how far the prediction was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.stalls import CycleStack

CLOSE = 1e-4
"""Largest difference of a logit to numpy's at which the two agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpShare:
    """All operations of one name, over all executed steps and layers."""

    name: str
    count: int
    instructions: int
    stack: CycleStack
    """Executed."""
    predicted: CycleStack
    """By the machine model, for the same operations."""

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was executed."""
        return self.predicted.total / self.stack.total - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedStep:
    """One decode step and its token."""

    step: int
    token: int
    numpy_token: int
    logits_difference: float
    """Largest absolute difference to numpy's."""
    instructions: int
    cycles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What came of executing a model."""

    model: str
    machine: str
    clock_hz: int
    same_kernels: bool
    """Whether the machine model times the very kernels that were executed."""
    prompt: str | None
    """None where tokens were drawn."""
    first_text: str
    """The token that numpy's prefill chose."""
    text: str
    """What was executed after it."""
    steps: tuple[ExecutedStep, ...]
    ops: tuple[OpShare, ...]
    cache_misses: Mapping[str, int]
    """By level."""

    @property
    def stack(self) -> CycleStack:
        """All executed cycles."""
        return CycleStack.sum(op.stack for op in self.ops)

    @property
    def predicted(self) -> CycleStack:
        """What the machine model makes of the same steps."""
        return CycleStack.sum(op.predicted for op in self.ops)

    @property
    def instructions(self) -> int:
        """All executed."""
        return sum(op.instructions for op in self.ops)

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was executed."""
        return self.predicted.total / self.stack.total - 1

    @property
    def misplaced(self) -> float:
        """Sum of all operations' errors without their signs, as a share of what was executed."""
        apart = sum(abs(op.predicted.total - op.stack.total) for op in self.ops)
        return apart / self.stack.total

    @property
    def agrees(self) -> bool:
        """Whether every token and logit is numpy's."""
        return all(s.token == s.numpy_token and s.logits_difference <= CLOSE for s in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model": self.model,
            "machine": self.machine,
            "prompt": self.prompt,
            "text": self.first_text + self.text,
            "agrees": self.agrees,
            "instructions": self.instructions,
            "cycles": self.stack.total,
            "stack": _plain(self.stack),
            "same_kernels": self.same_kernels,
            "predicted_cycles": self.predicted.total,
            "predicted_stack": _plain(self.predicted),
            "error": self.error,
            "misplaced": self.misplaced,
            "cache_misses": dict(self.cache_misses),
            "steps": [
                {name: getattr(step, name) for name in ExecutedStep.__slots__}
                for step in self.steps
            ],
            "ops": [
                {
                    "name": op.name,
                    "count": op.count,
                    "instructions": op.instructions,
                    "cycles": op.stack.total,
                    "stack": _plain(op.stack),
                    "predicted_cycles": op.predicted.total,
                    "predicted_stack": _plain(op.predicted),
                    "error": op.error,
                }
                for op in self.ops
            ],
        }


def _plain(stack: CycleStack) -> dict[str, int]:
    return {"busy": stack.busy, **{str(cause): n for cause, n in stack.stalls.items()}}
