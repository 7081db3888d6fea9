"""Every number of every machine's file moves some output of a run, or says why it need not.

Each number is changed alone (a few ways, until one shows), and small workloads run before and
after. Outputs are what was simulated: cycles, their causes, bytes moved, seconds, joules, or that
the run is refused; not the figures that a result repeats from the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest

from reports.memory import analyse
from sim import machine
from sim.energy import EnergyError, run_energy
from sim.errors import CapacityError, SpecError, UnsupportedOpError
from sim.machine import KERNEL_CORE, family_of, machine_names
from sim.memory.layout import Piece
from sim.run import run
from sim.spec import validate
from workloads import generate, load_model
from workloads.trace import (
    DTYPE_BYTES,
    Access,
    Block,
    Family,
    Op,
    Phase,
    Role,
    Tensor,
    Trace,
)

machine_file = cache(machine.machine_file)

PROSE = {"sources", "name", "title", "description", "kind", "family"}
COUPLED = {"line_bytes": "all levels have one line size"}
"""Numbers that a description must change in all levels at once. A DRAM's channels change with the
bandwidth that they make."""
QUANTITY = re.compile(r"^([0-9.]+) ?([A-Za-z/]+)$")
FACTORS = (2, 0.5, 8, 1 / 8, 64, 1 / 1024, 1 / 2**17, 1 / 2**20)


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all numbers and switches of a description."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if path or key not in PROSE:
                yield from numbers(inner, (*path, key))
    elif isinstance(value, int | float) or QUANTITY.match(str(value)):
        yield path


REASONS = {
    "count": "several cores need `prefetch` and a shared last cache, which this machine has not",
    "prefetch": "goes with a shared last cache: two keys of a description, changed together",
    "shared": "goes with `prefetch`: two keys of a description, changed together",
    "core's loads": "the first hit is the latency of the core's loads, else the file is refused",
    "one width": "the instruction set's packaged kernels have one width, the file's",
    "first bandwidth": "one access of a core a cycle never takes more than the first cache gives",
    "hidden latency": "streams are fetched ahead into private caches, so only bandwidth is paid",
    "stores": "operations store no more than they load, so where both are 1 only loads bind",
    "even": "one load, operation, function and store a cycle: more of one leaves the others",
    "lanes": "each move between lanes is followed by an operation, of which one a cycle starts",
    "stages": "found on no workload: an SM has at least two buffers, and two hide its loads",
    "rows": "stands with a rows_per_cycle above 1, and one of the two must be 1",
}


def reason(name: str, path: tuple[Any, ...]) -> str:
    """Why a number need not move anything alone; empty where it must."""
    values = machine_file(name).values
    if values["family"] == "cpu":
        return REASONS.get(_cpu_reason(values, path), "")
    if path == ("tiles", "shapes", 12, "stages"):  # 128 x 256 by 128 bytes
        return REASONS["stages"]
    if path[0] == "vector":
        return REASONS.get(_vector_reason(values["vector"], path[1:]), "")
    if path[:2] == ("arrays", "cycles_per_row"):
        several = values["arrays"].get("rows_per_cycle", {})
        return REASONS["rows"] if several.get(path[2], 1) > 1 else ""
    return ""


def _vector_reason(vector: Mapping[str, Any], path: tuple[Any, ...]) -> str:
    moves = vector.get("cross_lane")
    if path == ("cross_lane", "count") and vector["alus_per_lane"] == moves["interval_cycles"] == 1:
        return "" if moves["reduces"] else "lanes"
    if path in {("loads_per_cycle",), ("special", "count")}:
        interval = vector["special"]["interval_cycles"]
        return "even" if vector["alus_per_lane"] == interval == 1 else ""
    return "stores" if path == ("stores_per_cycle",) and vector["stores_per_cycle"] == 1 else ""


def _cpu_reason(values: Mapping[str, Any], path: tuple[Any, ...]) -> str:
    core, caches = values["core"], list(values["caches"])
    kernels = KERNEL_CORE in core
    if path[0] == "core" and kernels:
        alone = path[1] == "vector_bits" and core["vector_bits"] <= 128
        return "one width" if alone else ""
    if path[0] == "core":
        alone = path[1] == "count" and not core["prefetch"]
        return path[1] if path[1] == "prefetch" or alone else ""
    if path[0] == "caches" and path[1] == caches[0]:
        first = {"bytes_per_cycle": "first bandwidth"}
        return (first | {"hit_cycles": "core's loads"} if kernels else first).get(path[2], "")
    if path[0] == "caches" and path[2] == "hit_cycles" and path[1] != caches[-1]:
        return "hidden latency" if core.get("prefetch") else ""
    return path[-1] if path[-1] == "shared" else ""


CASES = [
    pytest.param(name, path, id=f"{name}:{'.'.join(map(str, path))}")
    for name in machine_names()
    for path in numbers(machine_file(name).values)
    if not reason(name, path)
]


def changed(value: Any) -> Iterator[Any]:
    """Other values that a number may take."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        number, unit = QUANTITY.match(value).groups()
        for factor in FACTORS:
            yield f"{Decimal(number) * Decimal(factor):f} {unit}"
    elif isinstance(value, int):
        yield from (value * 2, value // 2, 1, value // 8, value + 1, value * 16)
    else:
        yield from (value / 2, value * 0.9, value * 2)


def overridden(name: str, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Copy a machine's description with one number replaced."""
    values = deepcopy(dict(machine_file(name).values))
    holder = values
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    _keep_one_tile(values, path)
    if path == ("memory", "dram", "channels"):
        was = machine_file(name).values["memory"]["dram"]["channels"]
        number, unit = QUANTITY.match(values["memory"]["bandwidth_bytes_per_second"]).groups()
        wider = Decimal(number) * value / was
        values["memory"]["bandwidth_bytes_per_second"] = f"{wider:f} {unit}"
    if path[-1] in COUPLED:
        for level in values["caches"].values():
            level[path[-1]] = value
    return values


def _keep_one_tile(values: dict[str, Any], path: tuple[Any, ...]) -> None:
    """Leave a tile alone in its list: another may suit a product better, and hide it."""
    if path[:2] == ("tiles", "shapes"):
        values["tiles"]["shapes"] = [values["tiles"]["shapes"][path[2]]]


@cache
def model_trace(model: str, dtype: str, prompt: int = 4) -> Trace:
    """Embedding and one layer of a prefill and of a decode step."""
    trace = generate(
        load_model(model),
        None,
        prompt_tokens=prompt,
        new_tokens=2,
        dtype=dtype,
        max_context=max(64, prompt + 2),
        execute=False,
    ).trace
    embedding, layer, _, again, later, _ = trace.blocks
    kept = (embedding, replace(layer, repeats=1), again, replace(later, repeats=1))
    blocks, position = [], 0
    for block in kept:
        ops = []
        for op in block.ops:
            nearby = tuple(d for d in op.depends_back if d <= position)
            ops.append(replace(op, depends_back=nearby))
            position += 1
        blocks.append(replace(block, ops=tuple(ops)))
    return replace(trace, blocks=tuple(blocks))


@cache
def product(m: int, n: int, k: int, dtype: str) -> Trace:
    """One matrix product with weights, then a tangent of every result."""
    shapes = {"x": (m, k), "w": (k, n), "y": (m, n)}
    tensors, address = [], 0
    for name, shape in shapes.items():
        role = Role.WEIGHT if name == "w" else Role.ACTIVATION
        tensors.append(Tensor(name=name, role=role, shape=shape, dtype=dtype, address=address))
        address += -(-tensors[-1].bytes // 64) * 64
    common = {"dtype": dtype, "phase": Phase.PREFILL, "step": 0}
    x, w, y = (Access(number, tensor.bytes) for number, tensor in enumerate(tensors))
    multiply = Op(
        kind="matmul",
        name="product",
        family=Family.MATMUL,
        dims={"batch": 1, "m": m, "n": n, "k": k},
        flops=2 * m * n * k,
        reads=(x, w),
        writes=(y,),
        **common,
    )
    tangent = Op(
        kind="gelu",
        name="tangent",
        family=Family.ELEMENTWISE,
        dims={"elements": m * n},
        flops=8 * m * n,
        transcendentals=m * n,
        reads=(y,),
        writes=(y,),
        depends_back=(1,),
        **common,
    )
    return Trace(
        model="a product",
        dtype=dtype,
        batch=1,
        prompt_tokens=m,
        new_tokens=1,
        tensors=tuple(tensors),
        blocks=(Block(ops=(multiply, tangent)),),
    )


def workloads(name: str, path: tuple[Any, ...]) -> Iterator[Trace]:
    """Small traces, the likeliest to show a number first."""
    dtype = path[-1] if path[-1] in DTYPE_BYTES else None
    family = machine_file(name).values["family"]
    if path[:2] == ("tiles", "shapes"):
        yield product(256, 1024, 512, "float16")
        yield product(3000, 2000, 2048, "float16")
        yield product(64, 55_296, 1024, "float16")  # waits for weights from main memory
    elif path[0] == "launch":
        yield model_trace("gpt2-small", "float32")
        yield many_small()
    elif name == "tpu-v1" or dtype == "int8":
        yield product(48, 256, 256, "int8")
        yield product(2, 4096, 1024, "int8")
        yield product(4096, 8192, 1024, "int8")
        yield tangents(dtype or "int8")
    else:
        yield model_trace("gpt2-small", dtype or "float32")
        yield model_trace("glassllm-en", dtype or "float32")
        if family != "cpu":
            yield tangents(dtype or "float32")
            yield model_trace("gpt2-small", dtype or "bfloat16", 512)
            yield product(4096, 512, 2048, dtype or "bfloat16")


@cache
def tangents(dtype: str) -> Trace:
    """Only the tangents, of many numbers."""
    whole = product(512, 1024, 8, dtype)
    tangent = replace(whole.blocks[0].ops[1], depends_back=(), flops=0)
    return replace(whole, blocks=(Block(ops=(tangent,)),))


@cache
def many_small() -> Trace:
    """More kernels than a host may launch ahead."""
    whole = product(4096, 512, 2048, "float16")
    multiply, tangent = whole.blocks[0].ops
    small = [replace(tangent, depends_back=(1,)) for _ in range(40)]
    return replace(whole, blocks=(Block(ops=(multiply, *small)),))


@cache
def columns_of_a_matrix() -> Piece:
    """Lines many times the sets apart, walked thrice: what fits only where sets have ways.

    One chip's last cache has 7 x 2**14 sets, all others' numbers of sets are powers of two.
    """
    lines = np.tile(np.arange(24) * 7 * 2**19, 3)
    known = np.zeros(len(lines), dtype=np.bool_)
    return Piece(lines=lines, writes=known, roles=known.astype(np.int8) - 1)


def outputs(values: dict[str, Any], path: Any, trace: Trace) -> Any:
    """All that a run of a description gives; the refusal where it is refused."""
    spec_type, model_type = family_of(values, path)
    built = model_type(validate(spec_type, values, path))
    misses = None
    if values["family"] == "cpu":
        misses = analyse([columns_of_a_matrix()], built.spec, workload="columns").levels
    try:
        result = run(trace, built)
    except (CapacityError, UnsupportedOpError) as error:
        return type(error).__name__
    ops = [(op.cycles, op.stack, op.dram_read_bytes, op.dram_written_bytes) for op in result.ops]
    moved = [(row.name, row.phase, row.read_bytes, row.written_bytes) for row in result.memory]
    seconds = [phase.seconds for phase in result.phases]
    try:
        joules = run_energy(result, built.spec)
    except EnergyError:
        joules = None
    return ops, moved, seconds, [unit.stack for unit in result.units], joules, misses


BEFORE: dict[tuple[Any, ...], Any] = {}


def before(name: str, path: tuple[Any, ...], trace: Trace) -> Any:
    """What a machine gives as it is described."""
    tile = path[2] if path[:2] == ("tiles", "shapes") else None
    key = (name, tile, id(trace))
    if key not in BEFORE:
        values = deepcopy(dict(machine_file(name).values))
        _keep_one_tile(values, path)
        BEFORE[key] = outputs(values, machine_file(name).path, trace)
    return BEFORE[key]


def moves(name: str, path: tuple[Any, ...]) -> bool:
    """Whether some change of a number shows in some workload."""
    file = machine_file(name)
    value: Any = file.values
    for key in path:
        value = value[key]
    for trace in workloads(name, path):
        for other in changed(value):
            try:
                after = outputs(overridden(name, path, other), file.path, trace)
            except SpecError:
                continue  # not a value that this number may take
            if after != before(name, path, trace):
                return True
    return False


@pytest.mark.parametrize(("name", "path"), CASES)
def test_every_number_of_a_machine_moves_some_output(name, path):
    assert moves(name, path), "it moves nothing that was tried"


def test_every_reason_not_to_move_anything_still_has_a_number():
    given = {reason(n, path) for n in machine_names() for path in numbers(machine_file(n).values)}
    assert given - {""} == set(REASONS.values())
