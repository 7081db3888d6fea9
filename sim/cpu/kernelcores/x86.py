"""x86-64 kernels in Intel syntax: integers, AVX2, FMA, AVX-512 with masks, VNNI, BF16, tiles."""

from __future__ import annotations

from collections.abc import Mapping
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
from sim.cpu.kernelcores.x86_operands import (
    REGISTERS,
    Decorations,
    address_of,
    is_number,
    undecorated,
    uses_evex,
)
from sim.errors import did_you_mean

ISA = "x86_64"
FLAGS = "flags"
TILE_CONFIG = "tilecfg"
_DIVIDE = (("rax", "rdx"), ("rax", "rdx"))
_IN_TILES = (("tilecfg",), ())
_TILE_MOVES = ("tileloadd", "tileloaddt1", "tilestored", "tilezero")
_TILE_PRODUCTS = ("tdpbf16ps", "tdpbssd", "tdpbsud", "tdpbusd", "tdpbuud")
IMPLICIT: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mul": (("rax",), ("rax", "rdx")),
    "div": _DIVIDE,
    "idiv": _DIVIDE,
    "cqo": (("rax",), ("rdx",)),
    "cdq": (("rax",), ("rdx",)),
    **dict.fromkeys(("cbw", "cwde", "cdqe"), (("rax",), ("rax",))),
    "mulx": (("rdx",), ()),
    "ldtilecfg": ((), (TILE_CONFIG,)),
    "tilerelease": ((), (TILE_CONFIG,)),
    **dict.fromkeys((*_TILE_MOVES, *_TILE_PRODUCTS), _IN_TILES),
}
"""Registers that a mnemonic reads and writes without naming them."""
_STRING = "its iterations depend on rcx, which has no value here; write the copy as a loop of moves"
_STACK = "the stack engine is not modelled; keep values in registers or use mov with an address"
_CALL = "a kernel is one loop body; write the callee's instructions in its place"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("rep", "repe", "repne", "repz", "repnz"), _STRING),
    **dict.fromkeys(("movsb", "movsw", "movsq", "stosb", "stosd", "stosq", "lodsb"), _STRING),
    **dict.fromkeys(("push", "pop", "pushf", "popf", "enter", "leave"), _STACK),
    **dict.fromkeys(("call", "ret"), _CALL),
    "lock": "memory ordering is not modelled; leave the prefix out",
    "xchg": "it may lock memory, which is not modelled; write three moves",
    "cpuid": "it serialises, which is not modelled; leave it out",
}
"""Mnemonics and prefixes that are known and not simulated, and why."""


def parse_x86(text: str, name: str) -> Kernel:
    """Read a kernel; KernelError names file, line and remedy."""
    return kernel_of(name, ISA, read_lines(text, name, r"#|;|//"), _instruction)


def _instruction(line: Line) -> KernelInstruction:
    if line.mnemonic in REFUSED:
        raise line.error(f"'{line.mnemonic}' is not simulated: {REFUSED[line.mnemonic]}")
    operands, decorations = undecorated(line)
    line = replace(line, operands=operands)
    form = _fitting_form(line)
    implicit = IMPLICIT.get(line.mnemonic, ((), ()))
    reads, writes = list(implicit[0]), list(implicit[1])
    bits: list[int] = []
    load: Address | None = None
    store: Address | None = None
    for role, operand in zip(form.operands, line.operands, strict=True):
        if role == "l":
            check_label(line, operand)
        elif "[" in operand:
            address = address_of(line, operand)
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
        elif not is_number(operand):
            raise line.error(f"unknown register '{operand}'{did_you_mean(operand, REGISTERS)}")
    _masked(form, decorations, (reads, writes), store)
    width = max(bits, default=0) or 64
    needs = _extensions(line, form, decorations, width)
    return _finish(line, form, (reads, writes), (width, load, store), (decorations, needs))


def _masked(
    form: Form, decorations: Decorations, named: tuple[list[str], list[str]], store: Address | None
) -> None:
    """Add the mask to what is read, and the old destination where it is merged."""
    reads, writes = named
    if not decorations.mask:
        return
    merges = not decorations.zeroing and store is None and not writes[0].startswith("k")
    if merges and writes[0] not in reads:
        reads.append(writes[0])
    reads.append(decorations.mask)
    if form.memory_class == "gather":  # it clears the mask, element by element
        writes.append(decorations.mask)


def _extensions(line: Line, form: Form, decorations: Decorations, width: int) -> tuple[str, ...]:
    """Return what a core must have: of each entry's names, separated by `|`, one."""
    evex = decorations.any or uses_evex(line.operands)
    own = [name for name in form.extension.split("|") if name]
    own = ["avx512f"] if _class(line, form) == "broadcast_r" else own
    if evex:
        own = [name for name in own if name.startswith("avx512")]
    needs = ["|".join(own)] if own else []
    evex = evex or any(name.startswith("avx512") for name in own[:1] if len(own) == 1)
    if evex:
        needs.insert(0, "avx512f")
        if width in (128, 256) and not line.mnemonic.endswith(("ss", "sd")):
            needs.append("avx512vl")
    return tuple(dict.fromkeys(needs))


def _fitting_form(line: Line) -> Form:
    """Choose by operand kinds among forms of one length: an immediate last, a mask first."""
    fitting = candidate_forms(ISA, line)
    wants = "i" if line.operands and is_number(line.operands[-1]) else "r"
    first = REGISTERS.get(line.operands[0].lower(), ("", 0))[0] if line.operands else ""
    to_mask = first.startswith("k")
    masks = [f for f in fitting if ("k" in f.flags) == to_mask] or list(fitting)
    to_memory = bool(line.operands) and "[" in line.operands[0]
    placed = [f for f in masks if f.memory_class.endswith("store") == to_memory] or masks
    exact = [f for f in placed if f.operands.endswith(wants)]
    return exact[0] if exact else placed[0]


def _finish(
    line: Line,
    form: Form,
    named: tuple[list[str], list[str]],
    rest: tuple[int, Address | None, Address | None],
    evex: tuple[Decorations, tuple[str, ...]],
) -> KernelInstruction:
    (reads, writes), (width, load, store), (decorations, needs) = named, rest, evex
    if load is not None and store is not None and load != store:
        raise line.error("two operands in memory; x86-64 allows one")
    plain = [o.lower() for o in line.operands]
    in_registers = load is None and store is None
    same = len(plain) >= 2 and plain[-1] == plain[-2] and in_registers
    zeroes = form.idiom == "zero" and same and not decorations.mask
    moves = form.idiom == "move" and in_registers and bool(reads) and not decorations.mask
    sized = [
        address and replace(address, bytes=address.bytes or _bytes(width, decorations))
        for address in (load, store)
    ]
    cost = _class(line, form)
    memory = "" if in_registers else _memory_class(line, form, store, decorations)
    if in_registers and (not cost or "m" in form.flags):
        raise line.error(f"'{line.mnemonic}' needs an operand in memory; write [rsi]")
    return KernelInstruction(
        text=line.text,
        line=line.number,
        mnemonic=line.mnemonic,
        cost_class=cost if in_registers or not form.memory_class else "",
        memory_class=memory,
        width_bits=width,
        reads=() if zeroes else (*reads, *([FLAGS] * ("r" in form.flags))),
        writes=(*writes, *([FLAGS] * ("w" in form.flags))),
        load=sized[0],
        store=sized[1],
        zeroes=zeroes,
        moves=moves,
        branch=form.cost_class == "branch",
        vex=line.mnemonic[0] == "v" or form.extension in ("bmi1", "bmi2"),
        steps=_steps(line, load, store),
        extensions=needs,
    )


def _bytes(width: int, decorations: Decorations) -> int:
    return width // 8 // max(1, decorations.elements)


def _memory_class(line: Line, form: Form, store: Address | None, decorations: Decorations) -> str:
    """Return the class of a load or a store; of a whole instruction where the form names one."""
    if "n" in form.flags:
        raise line.error(
            f"'{line.mnemonic}' with an operand in memory has no published cost; move it apart"
        )
    vector = any(operand.lower()[1:3] == "mm" for operand in line.operands)
    masked = "k" * (decorations.mask != "" and form.memory_class == "vload")
    if store is not None:
        own = form.memory_class.endswith("store")
        return form.memory_class if own else ("vstore" if vector else "store") + masked
    if form.memory_class:
        return form.memory_class + masked
    if decorations.elements:
        return "bcast"
    return "vload" if vector else "load"


def _class(line: Line, form: Form) -> str:
    """Return the class of cost, where it depends on the operands' kinds as well."""
    if "a" in form.operands and not form.memory_class:
        address = address_of(line, line.operands[-1])
        three = len(address.registers) == 2 and address.offset != 0
        return form.cost_class + ("3" if three else "_scaled" * (address.scale > 1))
    kinds = [REGISTERS.get(operand.lower(), ("", 0))[0][:1] for operand in line.operands]
    if form.cost_class in ("kmov", "vtransfer") and "r" in kinds:
        return f"{form.cost_class}_to_r" if kinds[0] == "r" else f"{form.cost_class}_from_r"
    if form.cost_class == "vtransfer" and line.mnemonic.endswith("q"):
        return "vmov"
    if form.cost_class in ("broadcast", "broadcast_small") and kinds[1] == "r":
        return "broadcast_r"
    if form.cost_class in ("mul", "div"):
        in_memory = "[" in line.operands[0]
        size = 8 * address_of(line, line.operands[0]).bytes if in_memory else 0
        return f"{form.cost_class}{size or REGISTERS.get(line.operands[0].lower(), ('', 64))[1]}"
    return form.cost_class


def _steps(line: Line, load: Address | None, store: Address | None) -> int | None:
    if load is not None or store is not None:
        return None
    if line.mnemonic in ("inc", "dec"):
        return 1 if line.mnemonic == "inc" else -1
    if line.mnemonic in ("add", "sub") and is_number(line.operands[1]):
        value = int(line.operands[1], 0)
        return value if line.mnemonic == "add" else -value
    return None
