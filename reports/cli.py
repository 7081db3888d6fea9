"""The command line: `tokenclock COMMAND`. Exit codes, and errors on one line.

0: done. 1: a check or bound was missed. 2: unusable input. 130: stopped with Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from reports.commands.catalogue import machines, show
from reports.commands.compare import compare
from reports.commands.execute import execute
from reports.commands.kernel import kernel
from reports.commands.memory import memory
from reports.commands.models import models
from reports.commands.pipeline import pipeline
from reports.commands.run import run
from reports.commands.sharing import sharing
from reports.commands.systolic import systolic
from reports.commands.trace import trace
from reports.commands.validate import validate
from sim.errors import LawViolationError, TokenclockError, did_you_mean

EXIT_MISSED = 1
EXIT_UNUSABLE = 2
EXIT_STOPPED = 130


class NearestNames(click.Group):
    """A group that names the nearest command where there is none of a name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; UsageError with the nearest name."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.commands)
            raise click.UsageError(f"no command is named '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    name="tokenclock",
    cls=NearestNames,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.version_option(package_name="tokenclock")
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Run one Transformer's trace on CPUs, GPUs and TPUs, cycle by cycle, and compare them.

    \b
    tokenclock compare                 the main job: writes charts and a page into out/
    tokenclock run batch-sweep         answer a scenario's question and check the answer
    tokenclock show gpu-a100-sxm-80gb  a machine's peaks, and the source of every number
    """  # noqa: D301 - click's mark for a paragraph that keeps its lines
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (
    compare,
    run,
    trace,
    machines,
    models,
    show,
    memory,
    sharing,
    pipeline,
    kernel,
    systolic,
    execute,
    validate,
):
    commands.add_command(_command)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run_commands())


def run_commands(args: Sequence[str] | None = None) -> int:
    """Run the command that `args`, by default the process's own, ask for; return the exit code."""
    try:
        code = commands.main(args, "tokenclock", standalone_mode=False)
    except click.Abort:
        return _fail("stopped", EXIT_STOPPED)
    except click.ClickException as error:
        return _fail(f"error: {error.format_message()}", EXIT_UNUSABLE)
    except LawViolationError as error:
        return _fail(f"defect of the simulator: {error}; please report it", EXIT_MISSED)
    except ValueError as error:
        if not isinstance(error, _mendable()):
            raise
        return _fail(f"error: {error}", EXIT_UNUSABLE)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"tokenclock: {' '.join(message.split())}", err=True)
    return code


def _mendable() -> tuple[type[Exception], ...]:
    """Errors whose message tells a person what to change."""
    from workloads import ModelError, TraceError  # noqa: PLC0415 - start-up time: imports numpy

    return (TokenclockError, ModelError, TraceError)
