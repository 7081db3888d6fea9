"""The tables of forms and costs, walked: no form without a cost, no cost without a form."""

import csv
from functools import cache

import pytest

from sim.cpu.kernelcores import KernelError, core_names, load_core, parse_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelcores.spec import cost_keys, cost_table
from sim.cpu.kernelcores.text import TABLES, forms

ISAS = ("x86_64", "aarch64", "riscv64")
CORES = [load_core(name) for name in core_names()]
LETTERS = {128: "x", 256: "y", 512: "z"}
SCALAR = ("ss", "sd", "2si")
ONE_WIDTH = {"pextr", "pinsr", "vtransfer", "shuffle_one", "merge_one", "half", "half_store"}
ONE_WIDTH |= {"cvt_one", "fcmp_flags", "dppd"}
WIDE_ONLY = {"extract", "insert", "permute", "permute_wide", "permute_var"}
NOT_AT_512 = {"hadd", "hadd_int", "movmsk", "permute", "rcpps", "round", "vblend", "vblendv"}
NOT_AT_512 |= {"vcmp", "vcmp_int", "vptest", "vtest", "blendw", "dpps", "mask_load", "mask_store"}
NOT_AT_512 |= {"vcmp_quad", "vcmp_gt_quad"}
NOT_AT_512_BY_NAME = {"vpand", "vpandn", "vpor", "vpxor", "vmovdqa", "vmovdqu"}
NOT_AT_512_BY_NAME |= {"vextractf128", "vextracti128", "vinsertf128", "vinserti128"}
NOT_AT_512_BY_NAME |= {"vbroadcastf128", "vbroadcasti128", "vlddqu", "vaddsubps", "vaddsubpd"}
ONLY_IN_MEMORY = {
    *(f"vbroadcast{kind}" for kind in ("f32x8", "i32x8", "f64x2", "i64x2")),
    *("movntps", "movntpd", "movntdq", "movntdqa", "vmovntdqa", "lddqu", "vlddqu"),
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
GENERAL_CLASSES = {
    *("alu", "adc", "shift", "shift_cl", "rotate", "rotate_cl", "imul", "lea", "mov", "movzx"),
    *("branch", "nop", "mul", "div", "sign", "widen_rax", "bitcount", "tzcnt", "bittest", "setcc"),
    *("cmov", "cmov_two", "andn", "shiftx", "bitscan", "bextr", "blsr", "bzhi", "pdep", "mulx"),
    *("bswap", "shift_double", ""),
}
"""Of forms on general registers; the empty one is a prefetch."""


def general(mnemonic, form):
    """Whether a form is on general registers, or on none."""
    vector_access = form.memory_class not in ("", "load", "store", "prefetch")
    return mnemonic[0] != "v" and form.cost_class in GENERAL_CLASSES and not vector_access


def x86_widths(mnemonic, form):
    if form.cost_class.startswith("tile") or form.memory_class.startswith("tile"):
        return [8192]
    if mnemonic[0] == "k" or general(mnemonic, form):
        return [32, 64] if form.cost_class in ("div", "mul") else [64]
    scalar = mnemonic.endswith(SCALAR) and form.cost_class != "vminmax"
    one = ONE_WIDTH & {form.cost_class, form.memory_class}
    if mnemonic[0] != "v" or (scalar and form.cost_class != "narrow") or one:
        return [128]
    widths = [256, 512] if form.cost_class in WIDE_ONLY else [128, 256, 512]
    by_class = NOT_AT_512 & {form.cost_class, form.memory_class}
    vex_only = by_class or mnemonic in NOT_AT_512_BY_NAME
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
    if form.memory_class.startswith("gather"):
        operands[1] = f"[rbx+{operands[0]}*4]"
        operands[0] += "" if len(operands) == 3 else "{k1}"
        return [f"{mnemonic} {', '.join(operands)}"]
    if form.operands[:1] == "l" or mnemonic in IN_MEMORY:
        return [IN_MEMORY.get(mnemonic, f"x: {plain}")]
    if form.memory_class in ("half_store", "mask_store"):
        return [f"{mnemonic} [rsi], {', '.join(operands[1:])}"]
    if mnemonic in ONLY_IN_MEMORY or "m" in form.flags or form.memory_class == "mask_load":
        return x86_loads(mnemonic, form, operands)
    moved = form.memory_class.startswith("tile")
    return [
        *([] if moved else [plain]),
        *x86_loads(mnemonic, form, operands),
        *(text.format(m=mnemonic, first=operands[0]) for text in MORE.get(form.cost_class, ())),
    ]


IN_MEMORY = {"ldtilecfg": "ldtilecfg [rsi]", "tilestored": "tilestored [rsi+rax], tmm1"}
MORE = {
    "lea": ("lea rax, [rsi+rax*4+8]", "lea rax, [rsi+rax*4]"),
    "mov": ("mov [rsi], rax", "mov [rsi+rax], rbx"),
    "vtransfer": ("{m} eax, xmm1", "{m} xmm1, eax"),
    "broadcast_small": ("{m} {first}, eax",),
    "pextr": ("{m} [rsi], {first}, 3",),
    "extract": ("{m} [rsi], {first}, 3",),
    "cvt_fh": ("{m} [rsi], {first}, 3",),
    "narrow": ("{m} [rsi], {first}",),
    "narrow_words": ("{m} [rsi], {first}",),
    "cvt_to_int": ("{m} eax, xmm1", "{m} eax, [rsi]"),
    "cvt_to_int_d": ("{m} eax, xmm1", "{m} eax, [rsi]"),
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
    texts = [f"{mnemonic} {', '.join(loads)}", f"{mnemonic} {', '.join(loads)}".replace("+rax", "")]
    if mnemonic == "vpbroadcastd":
        texts.append(f"{mnemonic} {operands[0]}, eax")
    if form.memory_class == "vload" and mnemonic[0] == "v":
        texts.append(f"{mnemonic} [rsi], {operands[-1]}")
        texts.append(f"{mnemonic} [rsi+rax], {operands[-1]}")
        texts.append(f"{mnemonic} {operands[0]}{{k1}}, [rsi]")
        texts.append(f"{mnemonic} [rsi]{{k1}}, {operands[-1]}")
    return texts


def x86_register(mnemonic, form, width, place):
    if ("k" in form.flags and place == 0) or mnemonic[0] == "k":
        return f"k{place + 1}"
    if width == 8192:
        return f"tmm{place}"
    if not general(mnemonic, form):
        return f"{LETTERS[width]}mm{place + 1}"
    return {32: ("ecx", "ebx", "edx"), 64: ("rcx", "rbx", "rdx")}[width][place % 3]


VECTOR_WIDTHS = {
    "cvt": ("4s", "2s"), "frecpe": ("4s", "2s"), "frecps": ("4s", "2s"),
    "dot": ("4s", "2s"), "fmla": ("4s", "2s"), "fmax": ("4s", "2s"), "fmul": ("4s", "2s"),
    "fadd": ("4s", "2s"), "vadd": ("4s", "2s"), "mla": ("4s", "2s"),
    "faddp": ("4s", "2s"), "trn": ("4s", "2s"), "vcmp": ("4s", "2s"), "vfcmp": ("4s", "2s"),
    "vlogic": ("4s", "2s"), "vminmax": ("4s", "2s"), "vselect": ("4s", "2s"),
    "vshift": ("4s", "2s"), "zip": ("4s", "2s"), "frsqrts": ("4s", "2s"),
}  # fmt: skip
SCALARS = {"fadd", "fmul", "fmax", "fmadd", "fdiv", "fsqrt", "cvt", "fcmp", "fcsel", "fmov"}
ONLY_SCALARS = {"fmadd", "fcmp", "fcsel", "fmov"}
GENERAL = {"extract_bits", "insert_bits", "alu", "alu_shift", "alu_bits", "mul", "div", "mov"}
LISTS = {"one": 1, "two": 2, "three": 3, "four": 4, "dup": 1}
BETWEEN = (
    *("fmov w0, s1", "fmov x0, d1", "fmov s0, w1", "scvtf s0, w1", "fcvtzs w0, s1"),
    *("mov v0.s[1], w1", "mov v0.s[1], v1.s[0]", "mov w0, v1.s[0]", "smov x0, v1.s[0]"),
    *(
        "dup v0.2s, w1",
        "dup v0.4s, w1",
        "str h0, [x1]",
        "fsqrt d0, d1",
        "mov s0, v1.s[1]",
        "addv b0, v1.16b",
        "smaxv b0, v1.16b",
    ),
    *("uaddlv d0, v1.4s", "uaddlv h0, v1.16b", "addp d0, v1.2d", "movi d0, #0", "mul w0, w1, w2"),
    *("smull x0, w1, w2", "fdiv v0.2d, v1.2d, v2.2d", "fsqrt v0.2d, v1.2d", "fcvt d0, s1"),
    *("fdiv v0.2s, v1.2s, v2.2s", "fsqrt v0.2s, v1.2s", "shrn v0.4h, v1.4s, #3", "sxtw x0, w1"),
    *("rshrn v0.4h, v1.4s, #3", "sqrshrn v0.4h, v1.4s, #3", "xtn v0.4h, v1.4s", "ror x0, x1, #3"),
    *("sqxtn v0.4h, v1.4s", "fmaxp s0, v1.2s", "uxtb w0, w1", "ld1 {v0.s}[0], [x0]"),
    *("st1 {v0.s}[0], [x0]", "frintz s0, s1", "fmaxv s0, v1.4s", "tbl v0.16b, {v1.16b}, v2.16b"),
    *("frecpe s0, s1", "frsqrte s0, s1", "umull x0, w1, w2", "smaxv s0, v1.4s", "addv s0, v1.4s"),
    *("fcvtas w0, s1", "fcvtn v0.4h, v1.4s", "fabs s0, s1", "tbl v0.16b, {v1.16b, v2.16b}, v3.16b"),
)
"""Forms with registers of two kinds or of a width that only they have."""


def aarch64_texts(mnemonic, form):
    """Write a form with each kind of register that it takes."""
    own = [text for text in BETWEEN if text.split()[0] in (mnemonic, "mov")]
    if form.operands.endswith("l"):
        others = "".join("x0, " if role == "r" else "#3, " for role in form.operands[:-1])
        return [f"x: {mnemonic} {others}x"]
    if not form.operands:
        return [mnemonic]
    if "m" in form.operands:
        return own + aarch64_accesses(mnemonic, form)
    return own + [
        aarch64_text(mnemonic, form, pattern)
        for pattern in aarch64_registers(form.cost_class, form.flags)
    ]


def aarch64_accesses(mnemonic, form):
    """Write a load or store of each kind of register, or of a list of them."""
    if mnemonic == "prfm":
        return ["prfm #0, [x0]"]
    kind = form.memory_class.split("_")[-1]
    if form.flags == "vector":
        counts = (1, 2, 3, 4) if kind == "many" else (LISTS[kind],)
        lists = [", ".join(f"v{at}.4s" for at in range(count)) for count in counts]
        return [f"{mnemonic} {{{each}}}, [x0]" for each in lists]
    registers = form.operands.count("w") + form.operands.count("r")
    kinds = ("x", "d", "q") if registers == 2 else ("x", "s", "d", "q")
    kinds = ("w",) if mnemonic[-1] in "bhw" else kinds
    addresses = ("[x0]",) if registers == 2 else ("[x0]", "[x0, x1]")
    names = [", ".join(f"{kind}{at}" for at in range(registers)) for kind in kinds]
    return [f"{mnemonic} {each}, {address}" for each in names for address in addresses]


def aarch64_registers(cost_class, flags):
    """Patterns of the registers that a class takes."""
    if cost_class in GENERAL and flags != "vector":
        return ["x{}", "w{}"] if cost_class == "div" else ["x{}"]
    lanes = () if cost_class in ONLY_SCALARS else VECTOR_WIDTHS.get(cost_class, ("4s",))
    scalars = {"fdiv": ["s{}", "d{}"]}.get(cost_class, ["s{}"] if cost_class in SCALARS else [])
    return [f"v{{}}.{each}" for each in lanes] + scalars


def aarch64_text(mnemonic, form, register):
    given = {"i": "#3", "c": "eq"}
    names = [given.get(role, register.format(at)) for at, role in enumerate(form.operands)]
    return f"{mnemonic} {', '.join(names)}"


def riscv64_texts(mnemonic, form):
    floats = mnemonic[0] == "f" and "." in mnemonic
    names = {"i": "3", "l": "x", "m": "0(a1)"}
    operands = [names.get(role, f"{'f' if floats else ''}a{at}") for at, role in
                enumerate(form.operands)]  # fmt: skip
    if form.memory_class.startswith("f"):
        operands[0] = "fa0"
    if mnemonic.startswith(("fclass", "feq", "flt", "fle", "fgt", "fge")):
        operands[0] = "a0"
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
                        keys = cost_keys(core, name, each.width_bits, each)
                        reached.add(next((key for key in keys if key in table), None))
    assert sorted(set(table) - reached) == []


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
