"""The command line, run inside this process: its exit code and what it printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from reports.cli import run_commands


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def assert_refused(self, *words: str) -> None:
        """Exit code 2, nothing printed, and one line that has all words."""
        assert (self.code, self.out) == (2, "")
        assert self.err.startswith("tokenclock: error: ")
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1
        for word in words:
            assert word in self.err


Tokenclock = Callable[..., Ran]


@pytest.fixture
def tokenclock(capsys: pytest.CaptureFixture[str]) -> Tokenclock:
    def run(*args: object) -> Ran:
        capsys.readouterr()
        code = run_commands([str(arg) for arg in args])
        return Ran(code, *capsys.readouterr())

    return run
