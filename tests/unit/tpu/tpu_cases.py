"""Small machines, tensors and operations from which the TPU tests build their cases."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sim.pipeline import Flow, Schedule, run_pipeline
from sim.spec import read_spec_file, validate
from sim.tpu.machine import TpuMachine
from sim.tpu.spec import TpuSpec
from workloads.trace import DTYPE_BYTES, Access, Block, Family, Op, Phase, Role, Tensor, Trace

MACHINES = Path(__file__).parents[3] / "sim" / "machines"


def spec(name: str, **changes: Any) -> TpuSpec:
    """A machine that comes with the package, with dotted keys (`memory__kind`) replaced."""
    file = read_spec_file(MACHINES / f"{name}.yaml")
    values: dict[str, Any] = dict(file.values)
    for dotted, value in changes.items():
        part, key = dotted.split("__")
        values[part] = {**values[part], key: value}
    return validate(TpuSpec, values, file.path)


def tensor(
    name: str, *shape: int, role: Role = Role.ACTIVATION, layers: int = 1, dtype: str = "float32"
) -> Tensor:
    return Tensor(name=name, role=role, shape=shape, dtype=dtype, address=0, layers=layers)


class Builder:
    """Collects tensors and operations; reads and writes touch whole tensors."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []

    def access(self, operand: Tensor) -> Access:
        if operand not in self.tensors:
            self.tensors.append(operand)
        return Access(self.tensors.index(operand), operand.bytes)

    def op(
        self,
        family: Family,
        dims: dict[str, int],
        reads: tuple[Tensor, ...],
        write: Tensor,
        **more: Any,
    ) -> Op:
        reading = tuple(self.access(operand) for operand in reads)
        defaults = {
            "kind": family.value,
            "name": write.name,
            "flops": 0,
            "dtype": reads[0].dtype if reads else write.dtype,
            "phase": Phase.DECODE,
            "step": 1,
        }
        return Op(
            family=family,
            dims=dims,
            reads=reading,
            writes=(self.access(write),),
            **{**defaults, **more},
        )

    def matmul(self, a: Tensor, b: Tensor, c: Tensor, *, batch: int = 1, **more: Any) -> Op:
        m, k, n = a.shape[-2], a.shape[-1], c.shape[-1]
        dims = {"batch": batch, "m": m, "n": n, "k": k}
        return self.op(Family.MATMUL, dims, (a, b), c, flops=2 * batch * m * n * k, **more)

    def elementwise(self, reads: tuple[Tensor, ...], write: Tensor, **more: Any) -> Op:
        elements = write.bytes // DTYPE_BYTES[write.dtype]
        return self.op(Family.ELEMENTWISE, {"elements": elements}, reads, write, **more)

    def trace(self, *ops: Op) -> Trace:
        return Trace(
            model="test",
            dtype="float32",
            batch=1,
            prompt_tokens=1,
            new_tokens=2,
            tensors=tuple(self.tensors),
            blocks=tuple(Block(ops=(replace(op),)) for op in ops),
        )


def composed(machine: TpuMachine, builder: Builder, *ops: Op) -> tuple[Schedule, list[list[int]]]:
    """Lower operations in order and pass their uops through the machine; uops as lists too."""
    machine.start(builder.trace(*ops))
    uops = [row for op in ops for row in machine.lower(op, op.layer).uops.tolist()]
    return run_uops(machine, uops), uops


def run_uops(machine: TpuMachine, uops: list[list[int]]) -> Schedule:
    flow = Flow(cycles=np.array(uops, dtype=np.int64), fences=np.zeros(len(uops), dtype=np.bool_))
    return run_pipeline(machine.stages, flow)
