"""The tables of forms and costs, walked: no form without a cost, no cost without a form."""

import csv
from functools import cache

import pytest

from sim.cpu.kernelcores import KernelError, core_names, load_core, parse_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelcores.spec import cost_table
from sim.cpu.kernelcores.text import TABLES, forms

ISAS = ("x86_64", "aarch64", "riscv64")
CORES = [load_core(name) for name in core_names()]
LETTERS = {128: "x", 256: "y", 512: "z"}
SCALAR = ("ss", "sd", "2si")
ONE_WIDTH = {"pextr", "pinsr", "vtransfer", "shuffle_one"}
WIDE_ONLY = {"extract", "insert", "permute", "permute_wide", "permute_var"}
NOT_AT_512 = {"hadd", "hadd_int", "movmsk", "permute", "rcpps", "round", "vblend", "vblendv"}
NOT_AT_512 |= {"vcmp", "vcmp_int", "vptest", "vtest"}
NOT_AT_512_BY_NAME = {"vpand", "vpandn", "vpor", "vpxor", "vmovdqa", "vmovdqu"}
NOT_AT_512_BY_NAME |= {"vextractf128", "vextracti128", "vinsertf128", "vinserti128"}
NOT_AT_512_BY_NAME |= {"vbroadcastf128", "vbroadcasti128"}
ONLY_IN_MEMORY = {
    "vbroadcastf32x4",
    "vbroadcasti32x4",
    "vbroadcastf64x4",
    "vbroadcasti64x4",
    "vbroadcastf128",
    "vbroadcasti128",
    "vmovntps",
    "vmovntpd",
    "vmovntdq",
}
VECTOR_CLASSES = ["fadd", "fmul", "fmax", "divps", "divss", "vlogic", "vmov", "vtransfer"]
"""Of mnemonics without a `v`, those on vectors."""


def x86_widths(mnemonic, form):
    if form.cost_class.startswith("tile") or form.memory_class.startswith("tile"):
        return [8192]
    if mnemonic[0] == "k" or not (mnemonic[0] == "v" or form.cost_class in VECTOR_CLASSES):
        return [32, 64] if form.cost_class in ("div", "mul") else [64]
    if mnemonic[0] != "v" or mnemonic.endswith(SCALAR) or form.cost_class in ONE_WIDTH:
        return [128]
    widths = [256, 512] if form.cost_class in WIDE_ONLY else [128, 256, 512]
    vex_only = form.cost_class in NOT_AT_512 or mnemonic in NOT_AT_512_BY_NAME
    return [w for w in widths if w < 512 or not (vex_only or form.operands == "brb")]


def x86_texts(mnemonic, form, width):
    """Write a form with registers and, where it may be, with its last operand in memory."""
    if not form.operands:
        return [mnemonic]
    names = [x86_register(mnemonic, form, width, place) for place in range(len(form.operands))]
    operands = [
        {"i": "3", "a": "[rsi+8]", "l": "x"}.get(role, name)
        for role, name in zip(form.operands, names, strict=True)
    ]
    plain = f"{mnemonic} {', '.join(operands)}"
    if form.memory_class == "gather":
        operands[1] = f"[rbx+{operands[0]}*4]"
        operands[0] += "" if len(operands) == 3 else "{k1}"
        return [f"{mnemonic} {', '.join(operands)}"]
    if form.operands[:1] == "l":
        return [f"x: {plain}"]
    if mnemonic in IN_MEMORY:
        return [IN_MEMORY[mnemonic]]
    if mnemonic in ONLY_IN_MEMORY:
        return x86_loads(mnemonic, form, operands)
    moved = form.memory_class.startswith("tile")
    return [
        *([] if moved else [plain]),
        *x86_loads(mnemonic, form, operands),
        *(text.format(m=mnemonic, first=operands[0]) for text in MORE.get(form.cost_class, ())),
    ]


IN_MEMORY = {"ldtilecfg": "ldtilecfg [rsi]", "tilestored": "tilestored [rsi+rax], tmm1"}
MORE = {
    "lea": ("lea rax, [rsi+rax*4+8]",),
    "mov": ("mov [rsi], rax",),
    "kmov": ("{m} k1, eax", "{m} eax, k1"),
}
"""Further kinds of operands, by class."""


def x86_loads(mnemonic, form, operands):
    """Write a form with its last source in memory, and a move under a mask and to memory."""
    places = [at for at, role in enumerate(form.operands) if role in "rb" and at]
    if not places or "n" in form.flags or mnemonic[0] == "k":
        return []
    loads = [*operands]
    loads[places[-1]] = "[rsi+rax]"
    texts = [f"{mnemonic} {', '.join(loads)}"]
    if mnemonic == "vpbroadcastd":
        texts.append(f"{mnemonic} {operands[0]}, eax")
    if form.memory_class == "vload" and mnemonic[0] == "v":
        texts.append(f"{mnemonic} [rsi], {operands[-1]}")
        texts.append(f"{mnemonic} {operands[0]}{{k1}}, [rsi]")
        texts.append(f"{mnemonic} [rsi]{{k1}}, {operands[-1]}")
    return texts


def x86_register(mnemonic, form, width, place):
    if ("k" in form.flags and place == 0) or mnemonic[0] == "k":
        return f"k{place + 1}"
    if width == 8192:
        return f"tmm{place}"
    if mnemonic[0] == "v" or form.cost_class in VECTOR_CLASSES:
        return f"{LETTERS[width]}mm{place + 1}"
    return {32: ("ecx", "ebx", "edx"), 64: ("rcx", "rbx", "rdx")}[width][place % 3]


VECTOR_WIDTHS = {
    "cvt": ("4s", "2s"), "frecpe": ("4s", "2s"), "frecps": ("4s", "2s"),
    "dot": ("4s", "2s"), "fmla": ("4s", "2s"), "fmax": ("4s", "2s"), "fmul": ("4s", "2s"),
    "fadd": ("4s", "2s"), "vadd": ("4s", "2s"), "mla": ("4s", "2s"),
}  # fmt: skip
SCALARS = {"fadd", "fmul", "fmax", "fmadd", "fdiv", "fsqrt"}
GENERAL = {"alu", "alu_shift", "alu_bits", "mul", "div", "mov"}


def aarch64_texts(mnemonic, form):
    """Write a form with each kind of register that it takes."""
    if form.operands.startswith("l") or form.operands.endswith("l"):
        return [f"x: {mnemonic} {'x0, ' * (len(form.operands) - 1)}x"]
    if not form.operands:
        return [mnemonic]
    if "m" in form.operands:
        registers = form.operands.count("w") + form.operands.count("r")
        if mnemonic == "prfm":
            return ["prfm #0, [x0]"]
        if form.memory_class == "load_dup":
            return [f"{mnemonic} {{v0.4s}}, [x0]"]
        kinds = ("x", "d", "q") if registers == 2 else ("x", "s", "d", "q")
        return [
            f"{mnemonic} {', '.join(f'{k}{at}' for at in range(registers))}, [x0]" for k in kinds
        ]
    return [
        aarch64_text(mnemonic, form, pattern) for pattern in aarch64_registers(form.cost_class)
    ] + (["dup v0.4s, w1"] if form.cost_class == "dup" else [])


def aarch64_registers(cost_class):
    """Patterns of the registers that a class takes."""
    if cost_class in GENERAL:
        return ["x{}", "w{}"] if cost_class == "div" else ["x{}"]
    lanes = () if cost_class == "fmadd" else VECTOR_WIDTHS.get(cost_class, ("4s",))
    scalars = {"fdiv": ["s{}", "d{}"]}.get(cost_class, ["s{}"] if cost_class in SCALARS else [])
    return [f"v{{}}.{each}" for each in lanes] + scalars


def aarch64_text(mnemonic, form, register):
    names = ["#3" if role == "i" else register.format(at) for at, role in enumerate(form.operands)]
    return f"{mnemonic} {', '.join(names)}"


def riscv64_texts(mnemonic, form):
    floats = "." in mnemonic and mnemonic != "sext.w"
    names = {"i": "3", "l": "x", "m": "0(a1)"}
    operands = [names.get(role, f"{'f' if floats else ''}a{at}") for at, role in
                enumerate(form.operands)]  # fmt: skip
    if form.memory_class.startswith("f"):
        operands[0] = "fa0"
    if mnemonic.startswith("fcvt"):
        operands = ["a0", "fa1"] if mnemonic[5] in "wl" else ["fa0", "a1"]
    if mnemonic in ("fcvt.s.d", "fcvt.d.s"):
        operands = ["fa0", "fa1"]
    if mnemonic == "lui":
        operands[1] = "3"
    return [f"{'x: ' if 'l' in form.operands else ''}{mnemonic} {', '.join(operands)}"]


@cache
def kernels(isa):
    """Every form of an instruction set, at every width."""
    found = []
    for mnemonic, several in forms(isa).items():
        for form in several:
            if isa == "x86_64":
                for width in x86_widths(mnemonic, form):
                    found += x86_texts(mnemonic, form, width)
            elif isa == "aarch64":
                found += aarch64_texts(mnemonic, form)
            else:
                found += riscv64_texts(mnemonic, form)
    return tuple(parse_kernel(text, isa) for text in found)


def has(core, kernel):
    return all(
        set(needed.split("|")) & set(core.extensions)
        for needed in kernel.instructions[0].extensions
    )


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_every_form_that_a_core_claims_has_a_cost_or_an_honest_refusal(core):
    missing = []
    for kernel in kernels(core.isa):
        if has(core, kernel):
            try:
                build_body(kernel, core)
            except KernelError as error:
                if "has not been published" not in str(error):
                    missing.append(str(error))
    assert missing == []


@pytest.mark.parametrize("isa", ISAS)
def test_every_row_of_costs_is_reached_by_some_form_on_some_core(isa):
    table, reached = cost_table(isa), set()
    for core in CORES:
        if core.isa == isa:
            for kernel in kernels(isa):
                each = kernel.instructions[0]
                for name in {each.cost_class, each.memory_class} - {""}:
                    if has(core, kernel):
                        reached.add(first_key(table, core, name, each.width_bits))
    assert sorted(set(table) - reached) == []


def first_key(table, core, cost_class, width):
    for column in core.costs:
        for key in ((cost_class, str(width), column), (cost_class, "*", column)):
            if key in table:
                return key
    return None


@pytest.mark.parametrize("isa", ISAS)
def test_every_row_of_costs_is_of_a_core_and_has_a_document(isa):
    columns = {column for core in CORES if core.isa == isa for column in core.costs}
    for (_, _, column), cost in cost_table(isa).items():
        assert column in columns
        assert len(cost.source) > 20


@pytest.mark.parametrize("isa", ISAS)
def test_every_extension_of_a_core_is_one_that_some_form_needs(isa):
    with (TABLES / f"forms_{isa}.csv").open(encoding="utf-8", newline="") as file:
        named = {name for row in csv.DictReader(file) for name in row["extension"].split("|")}
    for core in CORES:
        if core.isa == isa:
            assert set(core.extensions) - {"avx512vl"} <= named
