"""The caches beside a live cachegrind: one C kernel, its references made again from addresses."""

import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import HierarchySpec, hierarchy

NEEDED = [tool for tool in ("valgrind", "gcc", "nm") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {', '.join(NEEDED)}"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernel ends by an x86-64 call"),
]

SIDE = 24
FLOAT_BYTES = 4
SAVED_REGISTERS = 2
"""The most that the kernel may put on its stack, each at the cost of one miss and one eviction."""

CODE_LINES = 8
"""The most lines that the kernel's instructions take in the last level, which holds both."""

KERNEL = f"""
static volatile float a[{SIDE}][{SIDE}] __attribute__((aligned(4096)));
static volatile float b[{SIDE}][{SIDE}] __attribute__((aligned(4096)));
static volatile float c[{SIDE}][{SIDE}] __attribute__((aligned(4096)));
__attribute__((noreturn)) void _start(void) {{
    for (int i = 0; i < {SIDE}; i++)
        for (int j = 0; j < {SIDE}; j++) {{
            float sum = 0;
            for (int k = 0; k < {SIDE}; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }}
    __asm__ volatile("syscall" : : "a"(60), "D"(0));
    __builtin_unreachable();
}}
"""
"""No C library stands around it, so nothing else touches the data caches."""

GEOMETRIES = (
    ((512, 1, 32), (2048, 2, 32)),
    ((1024, 2, 64), (4096, 4, 64)),
    ((2048, 32, 64), (8192, 128, 64)),
    ((4096, 4, 32), (65536, 16, 64)),
)
"""Bytes, ways and line bytes of the first and of the last level."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.c").write_text(KERNEL)
    command = ["gcc", "-O2", "-nostdlib", "-static", "-no-pie", "-o", "kernel", "kernel.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "kernel"


def _counts(program: Path, geometry: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """All that cachegrind counts."""
    out = program.parent / "cachegrind.out"
    first, last = (",".join(map(str, level)) for level in geometry)
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=yes", f"--cachegrind-out-file={out}"]
    command += [f"--D1={first}", f"--LL={last}", str(program)]
    subprocess.run(command, check=True, capture_output=True)
    lines = dict(line.split(": ", 1) for line in out.read_text().splitlines() if ": " in line)
    return dict(zip(lines["events"].split(), map(int, lines["summary"].split()), strict=True))


def _references(program: Path) -> AddressTrace:
    """The kernel's own references, at the addresses that the linker gave its arrays."""
    command = ["nm", str(program)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    at = {name: int(address, 16) for address, _, name in map(str.split, listed.splitlines())}
    i, j, k = np.ogrid[:SIDE, :SIDE, :SIDE]
    shape = (SIDE, SIDE, SIDE)
    reads = np.stack(
        [
            np.broadcast_to(at["a"] + FLOAT_BYTES * (SIDE * i + k), shape),
            np.broadcast_to(at["b"] + FLOAT_BYTES * (SIDE * k + j), shape),
        ],
        axis=-1,
    ).reshape(SIDE * SIDE, 2 * SIDE)
    writes = at["c"] + FLOAT_BYTES * np.arange(SIDE * SIDE)[:, None]
    return AddressTrace.of(np.hstack([reads, writes]).ravel(), sizes=FLOAT_BYTES)


def _spec(geometry: tuple[tuple[int, ...], ...]) -> HierarchySpec:
    names = ("capacity_bytes", "ways", "line_bytes")
    return hierarchy(*(dict(zip(names, level, strict=True)) for level in geometry))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_kernel_misses_as_often_as_cachegrind_says(
    program: Path, geometry: tuple[tuple[int, ...], ...]
) -> None:
    theirs, trace = _counts(program, geometry), _references(program)
    first, last = run_addresses(_spec(geometry), trace).counts.levels
    assert 0 <= theirs["Dr"] + theirs["Dw"] - len(trace) <= SAVED_REGISTERS
    assert 0 <= theirs["D1mr"] + theirs["D1mw"] - first.misses <= 2 * SAVED_REGISTERS
    assert abs(theirs["DLmr"] + theirs["DLmw"] - last.misses) <= CODE_LINES
