"""Scenarios: a question in YAML, the runs that answer it, and checks that the answer still holds.

    name: port-sharing
    question: What does it cost that instructions and data share one memory port?
    workload: {model: glassllm-en, prompt: "Alice was", new_tokens: 8}
    machines: [cpu-von-neumann, cpu-harvard]
    expect:
      - claim: two ports decode faster than one
        left: {machine: cpu-harvard, metric: decode.tokens_per_second}
        relation: ">"
        right: {machine: cpu-von-neumann, metric: decode.tokens_per_second}

`sweep:` maps `workload.KEY` or `machine.DOTTED.KEY` to lists of values; every combination is run.
An expectation's `at:` picks points of the sweep. Metrics are `PHASE.NAME`, with the names of
`METRICS`, or `PHASE.share.CAUSE`: the share of the phase's cycles that were busy, idle or lost.
With `execute: true` every decode step is also executed, instruction by instruction, on the
machines, scalar cores; `executed.NAME`, with the names of `EXECUTED`, says what came of it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sim.errors import SpecError, did_you_mean
from sim.lowering import MachineModel
from sim.machine import load_machine, machine_names
from sim.result import PhaseRow, RunResult
from sim.run import run
from sim.spec import Strict, read_yaml, validate
from sim.stalls import StallCause
from workloads import generate, load_model
from workloads.trace import ANSWERING, Phase, Trace

SCENARIOS = Path(__file__).with_name("scenarios")

METRICS: dict[str, Callable[[PhaseRow], float | str]] = {
    "seconds": lambda row: row.seconds,
    "cycles": lambda row: row.cycles,
    "cycles_per_token": lambda row: row.cycles_per_token,
    "tokens_per_second": lambda row: row.tokens_per_second,
    "flops_per_second": lambda row: row.flops_per_second,
    "flops_per_byte": lambda row: row.flops_per_byte,
    "dram_bytes": lambda row: row.dram_bytes,
    "limit_share": lambda row: row.limit_cycles / row.cycles,
    "binds": lambda row: row.binds,
}

EXECUTED = {
    "instructions": "executed in all decode steps",
    "cycles": "of those, on the executed machine",
    "wrong_tokens": "that are not numpy's",
    "logits_difference": "largest absolute difference to numpy's",
    "prediction_error": "of the cycles from the trace, without sign, as a share of the executed",
    "worst_operation_error": "the same of the operation with the largest",
}
"""Metrics of executed decode steps, and what they are."""

RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}

Value = int | float | str
Progress = Callable[[int, int, str], None]
"""Called with points done, points in all, and what is being run."""
Executor = Callable[["Workload", MachineModel], Mapping[str, float]]
"""Executes a workload's decode steps on a machine; returns the metrics of `EXECUTED`."""


class Workload(Strict):
    """What is run: a model, a prompt as text or as a length, and how much to generate."""

    model: str
    prompt: str | None = None
    prompt_tokens: int | None = None
    new_tokens: int
    batch: int = 1
    dtype: str | None = None
    """The model's own unless given."""
    max_context: int | None = None
    """Positions that tables and cache have room for, in place of the model's own context."""

    def trace(self) -> Trace:
        """Run the model and return its trace; without numbers where no text asks for them.

        Raises ModelError where the request cannot be met.
        """
        model = load_model(self.model)
        ids = None if self.prompt is None else model.encode(self.prompt)
        return generate(
            model,
            ids,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens,
            batch=self.batch,
            dtype=self.dtype,
            max_context=self.max_context,
            execute=False,
        ).trace


class Measure(Strict):
    """One number of one point."""

    machine: str
    metric: str
    at: dict[str, Value] = Field(default_factory=dict)
    """Values of the sweep's keys that pick the point; needed where it is swept."""


class Expectation(Strict):
    """A relation that the runs must show."""

    claim: str
    left: Measure
    relation: Literal["<", "<=", "==", "!=", ">=", ">"]
    right: Measure | float | str
    times: float = 1.0
    """Factor on the right-hand side."""


class Scenario(Strict):
    """A question, the runs that answer it, and what the answer must show."""

    name: str
    question: str
    workload: Workload
    machines: tuple[str, ...] = Field(min_length=1)
    execute: bool = False
    """Whether every instruction of the decode steps is executed too."""
    sweep: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    expect: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioPoint:
    """One run of a scenario."""

    parameters: Mapping[str, Value]
    """Values of the swept keys."""
    machine: str
    result: RunResult
    executed: Mapping[str, float] = field(default_factory=dict)
    """Metrics of `EXECUTED`, where the scenario executes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """Whether an expectation held."""

    text: str
    passed: bool
    detail: str
    """Both sides with their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioOutcome:
    """All runs of a scenario and its checks."""

    scenario: Scenario
    points: tuple[ScenarioPoint, ...]
    checks: tuple[CheckOutcome, ...]

    @property
    def passed(self) -> bool:
        """Whether every expectation held."""
        return all(check.passed for check in self.checks)


def scenario_names() -> tuple[str, ...]:
    """Names of the scenarios that come with the package."""
    return tuple(sorted(path.stem for path in SCENARIOS.glob("*.yaml")))


def load_scenario(name_or_path: str) -> Scenario:
    """Read a scenario by name or from a YAML file; SpecError names file, key and remedy."""
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = SCENARIOS / f"{name_or_path}.yaml"
        if name_or_path not in scenario_names():
            hint = did_you_mean(name_or_path, scenario_names())
            raise SpecError(f"no scenario is named '{name_or_path}'{hint}")
    scenario = validate(Scenario, read_yaml(path), path)
    _check_names(scenario, path)
    return scenario


def run_scenario(
    scenario: Scenario, *, progress: Progress | None = None, executor: Executor | None = None
) -> ScenarioOutcome:
    """Run every point of a scenario and check its expectations.

    SpecError where it asks to execute and nobody does.
    """
    if scenario.execute and executor is None:
        raise SpecError(
            f"scenario {scenario.name}: `execute: true` needs an executor; use `tokenclock run`"
        )
    combinations = [
        (machine, parameters)
        for parameters in _combinations(scenario.sweep)
        for machine in scenario.machines
    ]
    traces: dict[Workload, Trace] = {}
    points: list[ScenarioPoint] = []
    for done, (machine, parameters) in enumerate(combinations):
        if progress is not None:
            values = " ".join(f"{key}={value}" for key, value in parameters.items())
            progress(done, len(combinations), f"{machine} {values}".strip())
        workload = _workload(scenario, parameters)
        if workload not in traces:
            traces[workload] = workload.trace()
        model = load_machine(machine, overrides=_under("machine", parameters))
        result = run(traces[workload], model)
        executed = executor(workload, model) if scenario.execute and executor else {}
        points.append(
            ScenarioPoint(parameters=parameters, machine=machine, result=result, executed=executed)
        )
    checks = tuple(_outcome(expectation, points) for expectation in scenario.expect)
    return ScenarioOutcome(scenario=scenario, points=tuple(points), checks=checks)


def _combinations(sweep: Mapping[str, tuple[Value, ...]]) -> Iterator[dict[str, Value]]:
    for values in product(*sweep.values()):
        yield dict(zip(sweep, values, strict=True))


def _under(prefix: str, parameters: Mapping[str, Value]) -> dict[str, Value]:
    return {
        key.removeprefix(f"{prefix}."): value
        for key, value in parameters.items()
        if key.startswith(f"{prefix}.")
    }


def _workload(scenario: Scenario, parameters: Mapping[str, Value]) -> Workload:
    content = {**scenario.workload.model_dump(), **_under("workload", parameters)}
    return validate(Workload, content, Path(f"scenario {scenario.name}, workload"))


def _check_names(scenario: Scenario, path: Path) -> None:
    """Refuse what only the runs would otherwise find out, after minutes."""
    for machine in scenario.machines:
        if not machine.endswith((".yaml", ".yml")) and machine not in machine_names():
            hint = did_you_mean(machine, machine_names())
            raise SpecError(f"{path}: key 'machines': no machine is named '{machine}'{hint}")
    keys = [f"workload.{name}" for name in Workload.model_fields]
    for key in scenario.sweep:
        if key not in keys and not key.startswith("machine."):
            hint = did_you_mean(key, keys)
            raise SpecError(f"{path}: key 'sweep.{key}': neither workload nor machine{hint}")
    for number, expectation in enumerate(scenario.expect):
        for side, measure in (("left", expectation.left), ("right", expectation.right)):
            if isinstance(measure, Measure):
                _check_measure(scenario, measure, f"{path}: key 'expect.{number}.{side}'")


def _check_measure(scenario: Scenario, measure: Measure, where: str) -> None:
    if measure.machine not in scenario.machines:
        hint = did_you_mean(measure.machine, scenario.machines)
        raise SpecError(f"{where}.machine: '{measure.machine}' is not run here{hint}")
    if measure.metric not in metric_names():
        hint = did_you_mean(measure.metric, metric_names())
        raise SpecError(f"{where}.metric: '{measure.metric}' is not a metric{hint}")
    if measure.metric.startswith("executed.") and not scenario.execute:
        raise SpecError(f"{where}.metric: '{measure.metric}' needs `execute: true`")
    for key in measure.at:
        if key not in scenario.sweep:
            raise SpecError(f"{where}.at: '{key}' is not swept{did_you_mean(key, scenario.sweep)}")
    for key, values in scenario.sweep.items():
        if measure.at.get(key) not in values:
            raise SpecError(f"{where}.at: must pick one of {list(values)} for the swept '{key}'")


def metric_names() -> list[str]:
    """All metrics that an expectation may name."""
    shares = ["busy", "idle", *StallCause]
    names = [*METRICS, *(f"share.{share}" for share in shares)]
    phases = [f"{phase}.{name}" for phase in ANSWERING for name in names]
    return [*phases, *(f"executed.{name}" for name in EXECUTED)]


def measure_phase(row: PhaseRow, name: str) -> float | str:
    """Return a metric of a phase, without the phase's own prefix."""
    if name in METRICS:
        return METRICS[name](row)
    cycles: dict[str, int] = {"busy": row.stack.busy, "idle": row.stack.idle}
    cycles.update((str(cause), lost) for cause, lost in row.stack.stalls.items())
    return cycles.get(name.removeprefix("share."), 0) / row.cycles


def _outcome(expectation: Expectation, points: list[ScenarioPoint]) -> CheckOutcome:
    left = _value(expectation.left, points)
    other = expectation.right
    right = _value(other, points) if isinstance(other, Measure) else other
    if not isinstance(right, str):
        right *= expectation.times
    return CheckOutcome(
        text=expectation.claim,
        passed=RELATIONS[expectation.relation](left, right),
        detail=f"{_shown(left)} {expectation.relation} {_shown(right)}",
    )


def _shown(side: float | str) -> str:
    return side if isinstance(side, str) else f"{side:,.6g}"


def _value(measure: Measure, points: list[ScenarioPoint]) -> float | str:
    phase, _, name = measure.metric.partition(".")
    for point in points:
        at = {key: point.parameters[key] for key in measure.at if key in point.parameters}
        if point.machine == measure.machine and at == measure.at:
            if phase == "executed":
                return point.executed[name]
            row = point.result.phase(Phase(phase))
            if row is None:
                raise SpecError(f"metric '{measure.metric}': the run has no {phase}")
            return measure_phase(row, name)
    raise SpecError(f"no run of {measure.machine} at {measure.at}")
