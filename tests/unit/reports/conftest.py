"""Plausible results made by hand, so that reports are tested apart from the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from reports.energy import MachineEnergy
from sim.energy import PhaseEnergy, RunEnergy
from sim.limits import MATRIX, MEMORY, VECTOR
from sim.result import MemoryRow, OpRow, PhaseRow, RunResult, Shares, UnitRow
from sim.stalls import CycleStack, StallCause
from workloads.trace import Family, Phase

MakeResult = Callable[..., RunResult]


def _op(index: int, phase: Phase, family: Family, stack: CycleStack, flops: int) -> OpRow:
    return OpRow(
        index=index,
        name="mlp.up" if family is Family.MATMUL else "norm",
        kind="matmul" if family is Family.MATMUL else "rmsnorm",
        family=family,
        phase=phase,
        step=0 if phase is Phase.PREFILL else 1,
        layer=0,
        count=4,
        cycles=stack.total,
        stack=stack,
        flops=flops,
        dram_read_bytes=1_000,
        dram_written_bytes=0,
        shares=Shares(simulated_cycles=stack.total),
        choice="",
    )


def _phase(
    phase: Phase,
    clock_hz: int,
    tokens: int,
    ops: list[OpRow],
    dram_bytes: int,
) -> PhaseRow:
    stack = CycleStack.sum(op.stack for op in ops)
    parts: dict[str, int] = {MATRIX: ops[0].stack.busy, VECTOR: ops[1].stack.busy}
    parts |= {str(cause): cycles for cause, cycles in stack.stalls.items()}
    binds = max(parts, key=lambda part: parts[part])
    return PhaseRow(
        phase=phase,
        clock_hz=clock_hz,
        steps=1 if phase is Phase.PREFILL else tokens,
        tokens=tokens,
        cycles=stack.total,
        stack=stack,
        flops=sum(op.flops for op in ops),
        dram_bytes=dram_bytes,
        limits={MATRIX: stack.busy // 2, MEMORY: stack.total // 3, VECTOR: 5},
        binds=binds,
        bound_share=parts[binds] / stack.total,
    )


def build(
    name: str = "cpu-5stage",
    *,
    title: str | None = None,
    family: str = "cpu",
    scale: int = 1000,
    clock_hz: int = 1_000_000_000,
    peak_flops: int = 2_000_000_000,
    bandwidth: int = 25_600_000_000,
    stalls: Mapping[StallCause, int] | None = None,
    busy: int = 40,
    dram_bytes: int = 2_000_000,
    prompt_tokens: int = 6,
    new_tokens: int = 8,
) -> RunResult:
    """Return a result whose decode takes `scale` cycles for each unit of busy and stalls."""
    stalls = stalls or {StallCause.BANDWIDTH: 30, StallCause.DATA_DEPENDENCY: 20}
    scaled = {cause: cycles * scale for cause, cycles in stalls.items()}
    rows: list[OpRow] = []
    phases = []
    for phase, factor, tokens in (
        (Phase.PREFILL, 2, prompt_tokens),
        (Phase.DECODE, new_tokens - 1, new_tokens - 1),
    ):
        if not tokens:
            continue
        matmul = CycleStack(busy=busy * scale, stalls=scaled).scaled(factor)
        norm = CycleStack(busy=10 * scale).scaled(factor)
        ops = [
            _op(len(rows), phase, Family.MATMUL, matmul, 1_700_000 * tokens),
            _op(len(rows) + 1, phase, Family.ROWWISE, norm, 10_000 * tokens),
        ]
        rows += ops
        phases.append(
            _phase(phase, clock_hz, tokens, ops, dram_bytes * (1 if factor == 2 else tokens))
        )
    total = CycleStack.sum(phase.stack for phase in phases)
    return RunResult(
        machine=name,
        title=title or name,
        family=family,
        model="glassllm-en",
        dtype="float32",
        batch=1,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        trace_digest="ab" * 32,
        clock_hz=clock_hz,
        peak_matmul_flops_per_second=peak_flops,
        peak_memory_bytes_per_second=bandwidth,
        phases=tuple(phases),
        ops=tuple(rows),
        units=(UnitRow(name="core", stack=total),),
        memory=tuple(
            MemoryRow(
                name="dram",
                phase=phase.phase,
                read_bytes=phase.dram_bytes,
                written_bytes=0,
                capacity_bytes=8 * 2**30,
                bandwidth_bytes_per_second=bandwidth,
                utilisation=0.25,
            )
            for phase in phases
        ),
        shares=Shares(
            simulated_cycles=total.total - 2 * (total.total // 4),
            replayed_cycles=total.total // 4,
            extrapolated_cycles=total.total // 4,
        ),
    )


@pytest.fixture
def make_result() -> MakeResult:
    return build


@pytest.fixture(scope="session")
def results() -> list[RunResult]:
    cause = StallCause
    scalar = {cause.CACHE: 20, cause.DATA_DEPENDENCY: 25, cause.CONTROL: 6, cause.DRAM: 10}
    return [
        build(
            "cpu-von-neumann",
            title="von Neumann CPU",
            scale=90_000,
            stalls={cause.STRUCTURAL: 40, **scalar},
        ),
        build("cpu-harvard", title="Harvard CPU", scale=80_000, stalls=scalar),
        build(
            "cpu-5stage",
            title="five-stage CPU",
            scale=70_000,
            stalls={**scalar, cause.DATA_DEPENDENCY: 11},
        ),
        build(
            "cpu-simd-8core",
            title="SIMD 8-core CPU",
            scale=3_000,
            clock_hz=3_000_000_000,
            peak_flops=384_000_000_000,
            bandwidth=51_200_000_000,
            stalls={cause.SYNCHRONISATION: 20, cause.BANDWIDTH: 50},
        ),
        build(
            "gpu-a100-sxm-80gb",
            title="A100 80 GB",
            family="gpu",
            scale=9_000,
            busy=3,
            clock_hz=1_410_000_000,
            peak_flops=156_000_000_000_000,
            bandwidth=2_039_000_000_000,
            dram_bytes=120_000,
            stalls={cause.LAUNCH: 70, cause.DRAM: 10, cause.FILL_DRAIN: 8},
        ),
        build(
            "tpu-v3-core",
            title="TPU v3 core",
            family="tpu",
            scale=700,
            clock_hz=940_000_000,
            peak_flops=61_600_000_000_000,
            bandwidth=450_000_000_000,
            dram_bytes=3_500_000,
            stalls={cause.FILL_DRAIN: 55, cause.BANDWIDTH: 30},
        ),
    ]


@pytest.fixture(scope="session")
def energies(results: list[RunResult]) -> list[MachineEnergy]:
    """Energy of the last of `results`: half of it static, at 100 W."""
    phases = [
        PhaseEnergy(
            phase=phase.phase,
            seconds=phase.seconds,
            tokens=phase.tokens,
            joules_by_part={"static": 50 * phase.seconds, "dram": 50 * phase.seconds},
        )
        for phase in results[-1].phases
    ]
    run = RunEnergy(machine=results[-1].machine, model="glassllm-en", phases=tuple(phases))
    unknown = [
        MachineEnergy(machine=result.machine, run=None, problem="nobody knows")
        for result in results[:-1]
    ]
    return [*unknown, MachineEnergy(machine=results[-1].machine, run=run)]
