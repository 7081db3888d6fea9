"""What the commands share: options and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

F = TypeVar("F", bound=Callable[..., Any])
Report = Callable[[int, int, str], None]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
quiet_option = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for the files; made where it is missing.",
)


def workload_options(function: F) -> F:
    """Options that say what a model is asked to do."""
    for option in (
        click.option("--max-context", type=int, help="Positions to trace in place of the model's."),
        click.option("--dtype", help="Element type of weights and activations, such as float16."),
        click.option("--batch", type=int, default=1, show_default=True, help="Sequences at once."),
        click.option("--prompt-tokens", type=int, help="Length of a prompt; traced by shape."),
        click.option("--prompt", help="Text of the prompt; the model is executed."),
    ):
        function = option(function)
    return function


def require_one_prompt(prompt: str | None, prompt_tokens: int | None) -> None:
    """Raise UsageError where a prompt is given both as text and as a length."""
    if prompt is not None and prompt_tokens is not None:
        raise click.UsageError("give --prompt or --prompt-tokens, not both")


@contextmanager
def progress_bar(what: str, *, quiet: bool = False) -> Iterator[Report]:
    """Give a function to report progress to: a bar on standard error, only on a terminal.

    Until something is reported the bar pulses beside `what`.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield report
