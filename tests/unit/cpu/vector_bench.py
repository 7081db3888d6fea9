"""A machine with the vector kernels, on which tests call one kernel at a time."""

import numpy as np

from sim.cpu.riscv import assemble
from sim.cpu.riscv.compiled import CompiledMachine
from sim.cpu.riscv.kernels import VECTOR_NAMES, kernel_text
from sim.cpu.riscv.registers import NUMBERS

BASE, ROOM = 0x2000_0000, 2**17
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, 3e38, 1.0], dtype=np.float32)
VLENS = (32, 128, 256, 512)


class Bench:
    """Arrays in memory, and one kernel at a time."""

    def __init__(self, vlen):
        text = "main: jalr s0\nli a7, 10\necall\n" + kernel_text(VECTOR_NAMES)
        self.machine = CompiledMachine(
            assemble(text, xlen=64), regions=[(BASE, ROOM)], vlen_bits=vlen
        )
        self.next = BASE

    def put(self, values):
        values = np.ascontiguousarray(values)
        address, self.next = self.next, self.next + values.nbytes + 64 & -64
        self.machine.memory.view(address, values.nbytes)[:] = values.view(np.uint8).ravel()
        return address

    def call(self, kernel, *arguments, number=1.0):
        for place, argument in enumerate(arguments):
            self.machine.set_register(NUMBERS[f"a{place}"], argument)
        bits = int(np.float32(number).view(np.uint32))
        self.machine.set_register(NUMBERS["fa0"], bits - (1 << 32))
        self.machine.set_register(NUMBERS["s0"], self.machine.program.symbols[kernel])
        self.machine.jump(self.machine.program.entry)
        self.machine.run(limit=2_000_000)

    def get(self, address, shape, dtype=np.float32):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.machine.memory.view(address, size).view(dtype).reshape(shape).copy()


def drawn(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
