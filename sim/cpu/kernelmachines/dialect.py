"""How each instruction set writes the few things that generated kernels need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LANE_BITS = 32
_X86_LETTER = {128: "x", 256: "y", 512: "z"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """Registers and instructions by their role; vector registers by number, offsets in bytes."""

    reads: tuple[str, ...]
    """Pointers to what a pass streams in."""
    writes: tuple[str, ...]
    """Pointers to what it streams out; the first is also a product's C."""
    row: str
    """Pointer to what a row reads or writes once."""
    spare: int
    """Vector register beside a tile's accumulators; of AVX-512, the last one."""
    comment: str
    value_register: str
    """Pattern of the three registers of `exp.s` that move: its name, its number."""
    scratch: str = ""
    """Integer register of `exp.s`, where it has one."""

    def load(self, register: int, base: str, offset: int, bits: int) -> str:
        """Load a vector."""
        raise NotImplementedError

    def store(self, register: int, base: str, offset: int, bits: int) -> str:
        """Store a vector."""
        raise NotImplementedError

    def add(self, register: int, other: int, bits: int) -> str:
        """Add another vector to one."""
        raise NotImplementedError

    def add_constant(self, register: int, bits: int) -> str:
        """Add a constant to a vector."""
        raise NotImplementedError

    def clear(self, register: int, bits: int) -> str:
        """Make a vector zero."""
        raise NotImplementedError

    def across(self, register: int, bits: int) -> list[str]:
        """Sum a vector's lanes, by halves."""
        raise NotImplementedError

    def load_word(self, base: str, offset: int) -> str:
        """Load 8 bytes."""
        raise NotImplementedError

    def store_word(self, base: str, offset: int) -> str:
        """Store 8 bytes."""
        raise NotImplementedError

    def step(self, base: str, distance: int) -> str:
        """Move a pointer on by some bytes."""
        raise NotImplementedError

    def close(self, base: str) -> tuple[str, ...]:
        """Branch back until a pointer is at its end."""
        raise NotImplementedError


class X86(Dialect):
    """AVX2 and AVX-512."""

    def load(self, register: int, base: str, offset: int, bits: int) -> str:
        """Load a vector."""
        return f"vmovups {_x86(register, bits)}, [{base}+{offset}]"

    def store(self, register: int, base: str, offset: int, bits: int) -> str:
        """Store a vector."""
        return f"vmovups [{base}+{offset}], {_x86(register, bits)}"

    def add(self, register: int, other: int, bits: int) -> str:
        """Add another vector to one."""
        name = _x86(register, bits)
        return f"vaddps {name}, {name}, {_x86(other, bits)}"

    def add_constant(self, register: int, bits: int) -> str:
        """Add a constant to a vector; 16 registers are too few to keep it in one."""
        name = _x86(register, bits)
        return f"vaddps {name}, {name}, [rbp]"

    def clear(self, register: int, bits: int) -> str:
        """Make a vector zero."""
        name = _x86(register, bits)
        return f"vxorps {name}, {name}, {name}"

    def across(self, register: int, bits: int) -> list[str]:
        """Sum a vector's lanes, by halves; of 512 bits the first half as of 256."""
        lines = []
        whole, half = _x86(register, 256), _x86(register, 128)
        for _ in range({128: 0, 256: 1, 512: 2}[bits]):
            lines += [f"vextractf128 xmm1, {whole}, 1", f"vaddps {half}, {half}, xmm1"]
        for _ in range(2):
            lines += [f"vshufps xmm1, {half}, {half}, 14", f"vaddps {half}, {half}, xmm1"]
        return lines

    def load_word(self, base: str, offset: int) -> str:
        """Load 8 bytes."""
        return f"mov rcx, [{base}+{offset}]"

    def store_word(self, base: str, offset: int) -> str:
        """Store 8 bytes."""
        return f"mov [{base}+{offset}], rcx"

    def step(self, base: str, distance: int) -> str:
        """Move a pointer on by some bytes."""
        return f"add {base}, {distance}"

    def close(self, base: str) -> tuple[str, ...]:
        """Branch back until a pointer is at its end."""
        return f"cmp {base}, rax", "jne loop"


class AArch64(Dialect):
    """NEON."""

    def load(self, register: int, base: str, offset: int, bits: int) -> str:
        """Load a vector."""
        assert bits == 128  # noqa: S101 - the only width of NEON, as the description checked
        return f"ldr q{register}, [{base}, #{offset}]"

    def store(self, register: int, base: str, offset: int, bits: int) -> str:
        """Store a vector."""
        assert bits == 128  # noqa: S101 - as above
        return f"str q{register}, [{base}, #{offset}]"

    def add(self, register: int, other: int, bits: int) -> str:
        """Add another vector to one."""
        lanes = bits // LANE_BITS
        return f"fadd v{register}.{lanes}s, v{register}.{lanes}s, v{other}.{lanes}s"

    def add_constant(self, register: int, bits: int) -> str:
        """Add a constant to a vector."""
        return self.add(register, 27, bits)

    def clear(self, register: int, bits: int) -> str:
        """Make a vector zero: times another zero, for want of a table's row for `movi`."""
        lanes = bits // LANE_BITS
        return f"fmul v{register}.{lanes}s, v31.{lanes}s, v31.{lanes}s"

    def across(self, register: int, bits: int) -> list[str]:
        """Sum a vector's lanes, by halves: pairwise additions cost as additions."""
        return [self.add(register, register, bits)] * 2

    def load_word(self, base: str, offset: int) -> str:
        """Load 8 bytes."""
        return f"ldr x13, [{base}, #{offset}]"

    def store_word(self, base: str, offset: int) -> str:
        """Store 8 bytes."""
        return f"str x13, [{base}, #{offset}]"

    def step(self, base: str, distance: int) -> str:
        """Move a pointer on by some bytes."""
        return f"add {base}, {base}, #{distance}"

    def close(self, base: str) -> tuple[str, ...]:
        """Branch back until a pointer is at its end."""
        return f"cmp {base}, x12", "b.ne loop"


class RiscV(Dialect):
    """Scalar RV64 with F: a vector is one element."""

    def load(self, register: int, base: str, offset: int, bits: int) -> str:
        """Load an element."""
        assert bits == LANE_BITS  # noqa: S101 - the only width, as the description checked
        return f"flw f{register}, {offset}({base})"

    def store(self, register: int, base: str, offset: int, bits: int) -> str:
        """Store an element."""
        assert bits == LANE_BITS  # noqa: S101 - as above
        return f"fsw f{register}, {offset}({base})"

    def add(self, register: int, other: int, bits: int) -> str:
        """Add another element to one."""
        assert bits == LANE_BITS  # noqa: S101 - as above
        return f"fadd.s f{register}, f{register}, f{other}"

    def add_constant(self, register: int, bits: int) -> str:
        """Add a constant to an element."""
        return self.add(register, 26, bits)

    def clear(self, register: int, bits: int) -> str:
        """Make an element zero."""
        assert bits == LANE_BITS  # noqa: S101 - as above
        return f"fmv.w.x f{register}, x0"

    def across(self, register: int, bits: int) -> list[str]:
        """Sum the lanes of one element: nothing."""
        assert bits == LANE_BITS, register  # noqa: S101 - as above
        return []

    def load_word(self, base: str, offset: int) -> str:
        """Load 8 bytes."""
        return f"ld x6, {offset}({base})"

    def store_word(self, base: str, offset: int) -> str:
        """Store 8 bytes."""
        return f"sd x6, {offset}({base})"

    def step(self, base: str, distance: int) -> str:
        """Move a pointer on by some bytes."""
        return f"addi {base}, {base}, {distance}"

    def close(self, base: str) -> tuple[str, ...]:
        """Branch back until a pointer is at its end."""
        return (f"bne {base}, x22, loop",)


def _x86(register: int, bits: int) -> str:
    return f"{_X86_LETTER[bits]}mm{register}"


DIALECTS: Mapping[str, Dialect] = {
    "x86_64": X86(
        reads=("rdi", "rsi", "r8", "r9", "r10", "r11"),
        writes=("r12", "r13", "r14", "r15", "rbx"),
        row="rdx",
        spare=15,
        comment="#",
        value_register=r"\b([xyz]mm)([0-2])\b",
    ),
    "aarch64": AArch64(
        reads=tuple(f"x{number}" for number in range(6)),
        writes=tuple(f"x{number}" for number in range(6, 11)),
        row="x11",
        spare=29,
        comment="//",
        value_register=r"\b(v)([0-2])\b",
    ),
    "riscv64": RiscV(
        reads=tuple(f"x{number}" for number in range(10, 16)),
        writes=tuple(f"x{number}" for number in range(16, 21)),
        row="x21",
        spare=31,
        comment="#",
        value_register=r"\b(f)([0-2])\b",
        scratch="x5",
    ),
}
"""By name of the instruction set."""
