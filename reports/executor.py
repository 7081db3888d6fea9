"""What a scenario with `execute: true` asks for: its decode steps, instruction by instruction."""

from __future__ import annotations

from reports.execute import PROGRAM_EXIT, execute_model
from reports.executed import Executed
from sim.errors import SpecError
from sim.lowering import MachineModel
from sim.scenario import Workload


class Executor:
    """Executes the workloads of a scenario, and keeps what came of them."""

    def __init__(self) -> None:
        self.done: list[Executed] = []

    def __call__(self, workload: Workload, machine: MachineModel) -> dict[str, float]:
        """Execute all decode steps; SpecError for a workload that cannot be."""
        plain = workload.batch == 1 and workload.dtype in (None, "float32")
        if workload.prompt is None or workload.new_tokens < 2 or not plain:
            raise SpecError(
                "to execute, `workload:` needs a `prompt:`, `new_tokens: 2` or more (the first "
                "comes from numpy's prefill), batch 1 and float32"
            )
        done = execute_model(
            workload.model,
            machine,
            prompt=workload.prompt,
            new_tokens=workload.new_tokens - 1,
            max_context=workload.max_context,
        )
        self.done.append(done)
        return {
            "instructions": done.instructions,
            "cycles": done.stack.total,
            "wrong_tokens": sum(step.token != step.numpy_token for step in done.steps),
            "logits_difference": max(step.logits_difference for step in done.steps),
            "prediction_error": abs(done.error),
            "worst_operation_error": max(
                abs(op.error) for op in done.ops if op.name != PROGRAM_EXIT
            ),
        }
