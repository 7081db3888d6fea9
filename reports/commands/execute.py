"""`tokenclock execute`: every instruction of a model's decode steps, on an in-order RISC-V core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reports.columns import aligned
from reports.commands.console import json_option, quiet_option

if TYPE_CHECKING:
    from reports.executed import Executed
    from sim.stalls import CycleStack

MISSED = 1
"""Exit code where the executed numbers are not numpy's."""


@click.command(
    epilog="""\b
Examples:
  tokenclock execute
  tokenclock execute glassllm-en --machine cpu-harvard --new-tokens 4
  tokenclock execute glassllm-en --machine cpu-simd
  tokenclock execute --prompt 'Alice was' --json"""
)
@click.argument("model", default="glassllm-en")
@click.option("--machine", default="cpu-5stage", show_default=True, help="Name or YAML file.")
@click.option("--prompt", help="Text that numpy takes in before the first executed step.")
@click.option(
    "--new-tokens", type=int, default=1, show_default=True, help="Decode steps to execute."
)
@json_option
@quiet_option
def execute(
    *, model: str, machine: str, prompt: str | None, new_tokens: int, as_json: bool, quiet: bool
) -> int:
    """Execute MODEL's decode steps as RISC-V programs, instruction by instruction.

    numpy takes in the prompt; every further token is computed by hand-written RV64 kernels on the
    in-order pipeline, vector kernels where the machine has lanes (cpu-simd), with each access
    through the machine's caches, empty at first. The tokens
    and logits must be numpy's (else the exit code is 1). Beside the cycles stands what the machine
    model, which sees only the trace, says of the same operations.
    """
    from reports.execute import execute_model  # noqa: PLC0415 - start-up time
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from sim.machine import load_machine  # noqa: PLC0415 - start-up time

    done = execute_model(model, load_machine(machine), prompt=prompt, new_tokens=new_tokens)
    if as_json:
        click.echo(json_text(done.as_dict()), nl=False)
    elif not quiet:
        print_executed(done)
    return 0 if done.agrees else MISSED


def print_executed(done: Executed) -> None:
    """Print tokens, cycles by operation and cause, and the prediction from the trace."""
    from reports.quantities import si  # noqa: PLC0415 - start-up time

    given = "a drawn prompt" if done.prompt is None else repr(done.prompt)
    click.echo(f"{done.model} on {done.machine}: {given} + {done.first_text!r} (numpy)")
    for step in done.steps:
        same = "numpy's too" if step.token == step.numpy_token else f"numpy: {step.numpy_token}"
        click.echo(
            f"  step {step.step}: token {step.token} ({same}), logits within "
            f"{step.logits_difference:.1e} of numpy's; {step.instructions:,} instructions, "
            f"{step.cycles:,} cycles"
        )
    click.echo(f"  text: {done.text!r}\n")
    rows = [
        [
            op.name,
            f"{op.count}",
            f"{op.instructions:,}",
            f"{op.stack.total:,}",
            f"{op.predicted.total:,}",
            f"{op.error:+.1%}",
            f"{op.stack.total / done.stack.total:.1%}",
        ]
        for op in done.ops
    ]
    header = ["operation", "calls", "instructions", "cycles", "predicted", "error", "of all"]
    click.echo(aligned(header, rows, text=(0,)) + "\n")
    click.echo(_stacks(done.stack, done.predicted) + "\n")
    cycles = done.stack.total
    click.echo(
        f"Executed: {done.instructions:,} instructions in {cycles:,} cycles, CPI "
        f"{cycles / done.instructions:.2f}, {si(cycles / done.clock_hz, 's')}; misses: "
        + ", ".join(f"{name} {count:,}" for name, count in done.cache_misses.items())
    )
    click.echo(
        f"Predicted from the trace: {done.predicted.total:,} cycles, {done.error:+.1%}; operations "
        f"that it over- and underrates make {done.misplaced:.1%} of the cycles"
    )
    if not done.same_kernels:
        click.echo(
            "  by vector loops of its own, not by the executed kernels: the error is also that "
            "of another program"
        )


def _stacks(executed: CycleStack, predicted: CycleStack) -> str:
    """Where the cycles went, executed and predicted, as a table."""
    causes = sorted(
        {*executed.stalls, *predicted.stalls}, key=lambda cause: -executed.stalls.get(cause, 0)
    )
    pairs = [("busy", executed.busy, predicted.busy)]
    pairs += [(str(c), executed.stalls.get(c, 0), predicted.stalls.get(c, 0)) for c in causes]
    rows = [
        [name, f"{ours:,}", f"{ours / executed.total:.1%}", f"{theirs:,}"]
        for name, ours, theirs in pairs
    ]
    return aligned(["where the cycles went", "executed", "of all", "predicted"], rows, text=(0,))
