"""AArch64 kernels: integer, scalar floating point and NEON."""

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

ISA = "aarch64"
FLAGS = "nzcv"
_GENERAL = re.compile(r"^([wx])(\d+|zr)$|^(sp)$")
_SCALAR = re.compile(r"^([bhsdq])(\d+)$")
_LIST = re.compile(r"^\{(.+?)\}(\[\d+\])?$")
_LANES = re.compile(r"^v(\d+)\.(\d*)([bhsd])(?:\[\d+\])?$")
_MEMORY = re.compile(
    r"^\[(\w+)(?:,\s*(#?-?\w+)(?:,\s*(?:lsl|uxtw|sxtw|sxtx)(?:\s+#?(\d))?)?)?\]$", re.IGNORECASE
)
_CONDITIONS = ["eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "mi", "pl", "cc", "cs"]
_CONDITIONS += ["vs", "vc"]
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
    line = _preferred(replace(line, operands=operands))
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
        elif role == "c":
            _check_condition(line, operand)
        elif role == "i" or operand.startswith("#") or _is_number(operand):
            continue
        else:
            for each in _listed(operand):
                register, width = _register(line, each)
                bits.append(width)
                reads += [register] * (role in "rb" and register != "")
                writes += [register] * (role in "wb" and register != "")
    width = bits[0] if bits else 64
    if address is not None:
        address = replace(address, bytes=_transferred(line, width) * len(bits) // 8)
        reads += writes * ("lane" in _memory_class(line, form))
    stores = form.memory_class.startswith("store")
    vector = any(register.startswith("v") for register in (*reads, *writes))
    return KernelInstruction(
        text=line.text,
        line=line.number,
        mnemonic=line.mnemonic,
        cost_class=_cost_class(line, form, reads, writes),
        memory_class="v" * (vector and form.memory_class != "") + _memory_class(line, form),
        width_bits=width,
        reads=(*reads, *([FLAGS] * ("r" in form.flags and form.flags != "vector"))),
        writes=(*writes, *([FLAGS] * (form.flags in ("w", "rw")))),
        load=None if stores else address,
        store=address if stores else None,
        moves=form.idiom == "move" and bool(reads),
        branch=form.cost_class == "branch",
        last_read=_last_read(form),
        steps=_steps(line),
        extensions=(form.extension,) if form.extension else (),
    )


def _cost_class(line: Line, form: Form, reads: list[str], writes: list[str]) -> str:
    """Return the class of cost, where it depends on the kind of a register."""
    if form.cost_class in ("fdiv", "fsqrt") and line.operands[0].endswith((".2d", ".2s")):
        return f"{form.cost_class}_{line.operands[0][-2:]}"
    if form.cost_class in ("cvt", "fmov") and writes[0].startswith("x"):
        return f"{form.cost_class}_to_general"
    between = form.cost_class in ("cvt", "fmov", "dup", "ins") and bool(reads)
    return form.cost_class + "_general" * (between and reads[-1].startswith("x"))


def _last_read(form: Form) -> str:
    if form.cost_class == "mul" and len(form.operands) > 3:
        return "addend"
    return "shifted" * (form.cost_class == "alu_shift")


def _memory_class(line: Line, form: Form) -> str:
    """Return the class of a load or store; of a list, with its length or as of one lane."""
    if not form.memory_class.endswith("_many"):
        return form.memory_class
    if line.operands[0].endswith("]"):
        return form.memory_class.replace("_many", "_lane")
    return form.memory_class + str(len(_listed(line.operands[0])))


def _transferred(line: Line, width: int) -> int:
    """Return the bits of each register that go to or come from memory."""
    sizes = {"b": 8, "h": 16, "w": 32}
    narrow = line.mnemonic.startswith(("ldr", "ldur", "str", "stur")) and line.mnemonic[-1] in sizes
    return sizes[line.mnemonic[-1]] if narrow else width


def _preferred(line: Line) -> Line:
    """Return a `mov` between lanes, or of a number to a vector, as what it stands for."""
    if line.mnemonic != "mov" or len(line.operands) != 2:
        return line
    to, source = (operand.lower() for operand in line.operands)
    if to.endswith("]"):
        return replace(line, mnemonic="ins")
    if source.endswith("]"):
        return replace(line, mnemonic="umov" if to[0] in "wx" else "dup")
    return line


def _listed(operand: str) -> list[str]:
    """Return the registers of a list in braces, or the operand itself."""
    match = _LIST.match(operand)
    if match is None:
        return [operand]
    ends = re.fullmatch(r"v(\d+)(\.\w+)\s*-\s*v(\d+)\.\w+", match[1].strip().lower())
    if ends is not None:
        return [f"v{number}{ends[2]}" for number in range(int(ends[1]), int(ends[3]) + 1)]
    return [each.strip() for each in match[1].split(",")]


def _check_condition(line: Line, operand: str) -> None:
    if operand.lower() not in _CONDITIONS:
        hint = did_you_mean(operand, _CONDITIONS)
        raise line.error(f"'{operand}' is no condition{hint}")


def _without_post_increment(line: Line) -> tuple[tuple[str, ...], int | None]:
    if len(line.operands) >= 2 and line.operands[-2].startswith("["):
        text = line.operands[-1].lstrip("#")
        if not _is_number(text):
            raise line.error(f"'{line.operands[-1]}' is no post-increment; write [x0], #16")
        return line.operands[:-1], int(text, 0)
    return line.operands, None


def _fitting_form(line: Line) -> Form:
    fitting = candidate_forms(ISA, line)
    first = _listed(line.operands[0])[0].lower() if line.operands else ""
    lanes = _LANES.match(first) is not None
    exact = [form for form in fitting if (form.flags == "vector") == lanes] or list(fitting)
    number = bool(line.operands) and line.operands[-1].startswith("#")
    kinds = [form for form in exact if form.operands.endswith("i") == number] or exact
    return kinds[0]


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
    if pre:  # the base afterwards is the address itself
        post = offset
    return Address(registers=(base,), offset=offset, post_increment=post)
