"""x86-64 kernels in Intel syntax: AVX2, FMA, AVX-512 (without masks), VNNI and plain integers."""

from __future__ import annotations

import re
from dataclasses import replace

from sim.cpu.kernelcores.text import (
    Address,
    Form,
    Kernel,
    KernelInstruction,
    Line,
    candidate_forms,
    check_label,
    kernel_of,
    read_lines,
)
from sim.errors import did_you_mean

ISA = "x86_64"
FLAGS = "flags"
_SIZES = {"byte": 1, "word": 2, "dword": 4, "qword": 8, "xmmword": 16, "ymmword": 32, "zmmword": 64}
_MEMORY = re.compile(r"^(?:(\w+)\s+ptr\s+)?\[([^\]]+)\]$", re.IGNORECASE)
_VECTOR_BITS = {"x": 128, "y": 256, "z": 512}


def _general_registers() -> dict[str, tuple[str, int]]:
    names: dict[str, tuple[str, int]] = {}
    for stem in "abcd":
        wide = f"r{stem}x"
        names |= {wide: (wide, 64), f"e{stem}x": (wide, 32), f"{stem}x": (wide, 16)}
        names |= {f"{stem}l": (wide, 8), f"{stem}h": (wide, 8)}
    for stem in ("si", "di", "bp", "sp"):
        wide = f"r{stem}"
        names |= {wide: (wide, 64), f"e{stem}": (wide, 32), stem: (wide, 16), f"{stem}l": (wide, 8)}
    for number in range(8, 16):
        wide = f"r{number}"
        bits = {"": 64, "d": 32, "w": 16, "b": 8}
        names |= {wide + suffix: (wide, size) for suffix, size in bits.items()}
    return names


REGISTERS: dict[str, tuple[str, int]] = _general_registers() | {
    f"{letter}mm{number}": (f"zmm{number}", bits)
    for letter, bits in _VECTOR_BITS.items()
    for number in range(32)
}
"""Widest name and width in bits, by name."""


def parse_x86(text: str, name: str) -> Kernel:
    """Read a kernel; KernelError names file, line and remedy."""
    return kernel_of(name, ISA, read_lines(text, name, r"#|;|//"), _instruction)


def _instruction(line: Line) -> KernelInstruction:
    form = _fitting_form(line)
    reads: list[str] = []
    writes: list[str] = []
    bits: list[int] = []
    load: Address | None = None
    store: Address | None = None
    for role, operand in zip(form.operands, line.operands, strict=True):
        if role == "l":
            check_label(line, operand)
        elif "[" in operand:
            address = _address(line, operand)
            if role == "a":
                reads.extend(address.registers)
                if form.memory_class:  # a prefetch does go to memory
                    reads, load = [], address
                continue
            load = address if role in "rb" else load
            store = address if role in "wb" else store
            bits.append(8 * address.bytes)
        elif operand.lower() in REGISTERS:
            register, width = REGISTERS[operand.lower()]
            bits.append(width)
            reads += [register] * (role in "rb")
            writes += [register] * (role in "wb")
        elif not _is_number(operand):
            raise line.error(f"unknown register '{operand}'{did_you_mean(operand, REGISTERS)}")
    return _finish(line, form, reads, writes, (max(bits, default=64), load, store))


def _fitting_form(line: Line) -> Form:
    """Choose by operand kinds among forms of one length: an immediate last, or a register."""
    fitting = candidate_forms(ISA, line)
    wants = "i" if line.operands and _is_number(line.operands[-1]) else "r"
    exact = [f for f in fitting if f.operands.endswith(wants)]
    return exact[0] if exact else fitting[0]


def _finish(
    line: Line,
    form: Form,
    reads: list[str],
    writes: list[str],
    rest: tuple[int, Address | None, Address | None],
) -> KernelInstruction:
    width, load, store = rest
    if load is not None and store is not None and load != store:
        raise line.error("two operands in memory; x86-64 allows one")
    plain = [o.lower() for o in line.operands]
    same = len(plain) >= 2 and plain[-1] == plain[-2] and load is None and store is None
    zeroes = form.idiom == "zero" and same
    moves = form.idiom == "move" and load is None and store is None and bool(reads)
    sized = [
        address and replace(address, bytes=address.bytes or width // 8) for address in (load, store)
    ]
    cost, memory = _class(line, form), ""
    if load is not None or store is not None:
        memory = form.memory_class or ("vload" if _vector(reads, writes) else "load")
        cost = "" if form.memory_class else cost
        if store is not None:
            memory = "vstore" if _vector(reads, writes) else "store"
    return KernelInstruction(
        text=line.text,
        line=line.number,
        mnemonic=line.mnemonic,
        cost_class=cost,
        memory_class=memory,
        width_bits=width,
        reads=() if zeroes else (*reads, *([FLAGS] * ("r" in form.flags))),
        writes=(*writes, *([FLAGS] * ("w" in form.flags))),
        load=sized[0],
        store=sized[1],
        zeroes=zeroes,
        moves=moves,
        branch=form.cost_class == "branch",
        steps=_steps(line, load, store),
    )


def _class(line: Line, form: Form) -> str:
    """Return the class of cost; an address of three parts is one of its own."""
    if "a" in form.operands and not form.memory_class:
        address = _address(line, line.operands[-1])
        if len(address.registers) == 2 and address.offset:
            return f"{form.cost_class}3"
    return form.cost_class


def _vector(reads: list[str], writes: list[str]) -> bool:
    return any(register.startswith("zmm") for register in (*reads, *writes))


def _steps(line: Line, load: Address | None, store: Address | None) -> int | None:
    if load is not None or store is not None:
        return None
    if line.mnemonic in ("inc", "dec"):
        return 1 if line.mnemonic == "inc" else -1
    if line.mnemonic in ("add", "sub") and _is_number(line.operands[1]):
        value = int(line.operands[1], 0)
        return value if line.mnemonic == "add" else -value
    return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|\d+)", text) is not None


def _address(line: Line, operand: str) -> Address:
    match = _MEMORY.match(operand)
    if match is None or (match[1] and match[1].lower() not in _SIZES):
        raise line.error(f"'{operand}' is no memory operand; write dword ptr [rdi+rcx*4+8]")
    base: list[str] = []
    index: list[str] = []
    scale, offset = 1, 0
    for sign, term in re.findall(r"([-+]?)\s*([^-+\s]+)", match[2]):
        factor = re.fullmatch(r"(\w+)\*([1248])", term)
        name = (factor[1] if factor else term).lower()
        if _is_number(term):
            offset += int(term, 0) * (-1 if sign == "-" else 1)
        elif name not in REGISTERS:
            raise line.error(f"unknown register '{name}'{did_you_mean(name, REGISTERS)}")
        elif factor:
            index.append(REGISTERS[name][0])
            scale = int(factor[2])
        else:
            (index if base else base).append(REGISTERS[name][0])
    if len(index) > 1:
        raise line.error(f"'{operand}' has more than a base and an index; write [rdi+rcx*4+8]")
    size = _SIZES[match[1].lower()] if match[1] else 0
    return Address(registers=(*base, *index), scale=scale, offset=offset, bytes=size)
