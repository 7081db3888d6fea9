"""AArch64 kernels: integer, scalar floating point and NEON."""

from __future__ import annotations

import re
from dataclasses import replace

from sim.cpu.kernelcores.text import (
    Address,
    Form,
    Kernel,
    KernelError,
    KernelInstruction,
    Line,
    candidate_forms,
    check_label,
    kernel_of,
    read_lines,
)

ISA = "aarch64"
FLAGS = "nzcv"
_GENERAL = re.compile(r"^([wx])(\d+|zr)$|^(sp)$")
_SCALAR = re.compile(r"^([bhsdq])(\d+)$")
_LANES = re.compile(r"^v(\d+)\.(\d*)([bhsd])(?:\[\d+\])?$")
_MEMORY = re.compile(r"^\[(\w+)(?:,\s*(#?-?\w+)(?:,\s*lsl\s+#?(\d))?)?\]$")
_ELEMENT_BITS = {"b": 8, "h": 16, "s": 32, "d": 64, "q": 128}


def parse_aarch64(text: str, name: str) -> Kernel:
    """Read a kernel; KernelError names file, line and remedy."""
    return kernel_of(name, ISA, read_lines(text, name, r"//|;|^\s*#"), _instruction)


def register_of(text: str) -> tuple[str, int]:
    """Return the widest name and the width in bits; KeyError for none. The zero register is ''."""
    text = text.lower()
    if match := _GENERAL.match(text):
        if match[3]:
            return "sp", 64
        if match[2] != "zr" and int(match[2]) > 30:
            raise KeyError(text)
        return "" if match[2] == "zr" else f"x{match[2]}", 64 if match[1] == "x" else 32
    if match := _SCALAR.match(text):
        number, bits = int(match[2]), _ELEMENT_BITS[match[1]]
    elif match := _LANES.match(text):
        number, bits = int(match[1]), _ELEMENT_BITS[match[3]] * int(match[2] or 1)
    else:
        raise KeyError(text)
    if number > 31:
        raise KeyError(text)
    return f"v{number}", bits


def _instruction(line: Line) -> KernelInstruction:
    operands, post = _without_post_increment(line)
    line = replace(line, operands=operands)
    form = _fitting_form(line)
    reads: list[str] = []
    writes: list[str] = []
    bits: list[int] = []
    address: Address | None = None
    for role, operand in zip(form.operands, operands, strict=True):
        if role == "l":
            check_label(line, operand)
        elif role == "m":
            address = _address(line, operand, post)
        elif role == "i" or operand.startswith("#") or _is_number(operand):
            continue
        else:
            register, width = _register(line, operand.strip("{} "))
            bits.append(width)
            reads += [register] * (role in "rb" and register != "")
            writes += [register] * (role in "wb" and register != "")
    width = bits[0] if bits else 64
    if address is not None:
        transfers = sum(role in "wr" for role in form.operands)
        address = replace(address, bytes=transfers * width // 8)
    stores = form.memory_class.startswith("store")
    vector = any(register.startswith("v") for register in (*reads, *writes))
    return KernelInstruction(
        text=line.text,
        line=line.number,
        mnemonic=line.mnemonic,
        cost_class=form.cost_class + "_general" * _from_general(form, reads),
        memory_class="v" * (vector and form.memory_class != "") + form.memory_class,
        width_bits=width,
        reads=(*reads, *([FLAGS] * ("r" in form.flags and form.flags != "vector"))),
        writes=(*writes, *([FLAGS] * (form.flags == "w"))),
        load=None if stores else address,
        store=address if stores else None,
        moves=form.idiom == "move" and bool(reads),
        branch=form.cost_class == "branch",
        steps=_steps(line),
        extensions=(form.extension,) if form.extension else (),
    )


def _from_general(form: Form, reads: list[str]) -> bool:
    """Whether a copy to all lanes comes from a general register."""
    return form.cost_class == "dup" and reads[0].startswith("x")


def _without_post_increment(line: Line) -> tuple[tuple[str, ...], int | None]:
    if len(line.operands) >= 2 and line.operands[-2].startswith("["):
        text = line.operands[-1].lstrip("#")
        if not _is_number(text):
            raise line.error(f"'{line.operands[-1]}' is no post-increment; write [x0], #16")
        return line.operands[:-1], int(text, 0)
    return line.operands, None


def _fitting_form(line: Line) -> Form:
    fitting = candidate_forms(ISA, line)
    lanes = bool(line.operands) and _LANES.match(line.operands[0].lower()) is not None
    exact = [form for form in fitting if (form.flags == "vector") == lanes]
    return exact[0] if exact else fitting[0]


def _register(line: Line, operand: str) -> tuple[str, int]:
    try:
        return register_of(operand)
    except KeyError:
        raise line.error(
            f"unknown register '{operand}'; write x0, w0, s0, d0, q0, v0.4s or v0.s[1]"
        ) from None


def _steps(line: Line) -> int | None:
    if line.mnemonic in ("add", "sub", "adds", "subs") and _is_number(
        line.operands[-1].lstrip("#")
    ):
        value = int(line.operands[-1].lstrip("#"), 0)
        if line.operands[0] == line.operands[1]:
            return value if line.mnemonic.startswith("add") else -value
    return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|\d+)", text) is not None


def _address(line: Line, operand: str, post: int | None) -> Address:
    pre = operand.endswith("!")
    match = _MEMORY.match(operand.removesuffix("!"))
    if match is None:
        raise line.error(f"'{operand}' is no memory operand; write [x0, #16] or [x0], #16")
    base = _register(line, match[1])[0]
    second = (match[2] or "").lstrip("#")
    if second and not _is_number(second):
        index = _register(line, second)[0]
        return Address(registers=(base, index), scale=1 << int(match[3] or 0))
    offset = int(second, 0) if second else 0
    if pre:
        raise KernelError(f"{line.where}: pre-indexing is not modelled; write [x0], #{offset}")
    return Address(registers=(base,), offset=offset, post_increment=post)
