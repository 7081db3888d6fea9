"""Every vector instruction against a model written apart: numpy views of a register file."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.riscv import Machine, assemble
from sim.cpu.riscv.registers import NUMBERS
from sim.cpu.riscv.vector.table import VECTOR_OPERATIONS

VECTORS = settings(deadline=None, max_examples=12)
DATA, ROOM = 0x1000_0000, 4096
INTEGER_EDGES = [0, 1, 2, -1, -2, 127, -128, 255, 2**15, 2**31 - 1, 2**31, 2**63 - 1, -(2**63)]
FLOAT_EDGES = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-42, 3e38, 0.5, 2.5, 1e-310, 300.5]
FLOATS = {32: np.float32, 64: np.float64}
NANS = {32: 0x7FC0_0000, 64: 0x7FF8_0000_0000_0000}


class Model:
    """Registers as bytes, the configuration, the scalars."""

    def __init__(  # noqa: PLR0917 - registers, configuration, scalars
        self, content, vlen, sew, lmul, vl, masked, x, f, immediate
    ):
        self.content, self.vlenb, self.sew, self.vl = content.copy(), vlen // 8, sew, vl
        self.most = int(vlen * lmul) // sew
        self.x, self.f, self.immediate = x, f, immediate
        bits = np.unpackbits(self.content[: self.vlenb], bitorder="little")[:vl]
        self.mask = bits.astype(bool)
        self.active = [i for i in range(vl) if not masked or self.mask[i]]
        self.scalar = None

    def view(self, register, dtype):
        return self.content[register * self.vlenb :].view(dtype)

    def signed(self, register, bits):
        return self.view(register, f"<i{bits // 8}")

    def floats(self, register, bits):
        return self.view(register, FLOATS[bits])

    def bits(self, register):
        return np.unpackbits(self.view(register, np.uint8)[: self.vlenb], bitorder="little")

    def put_bits(self, register, values):
        self.view(register, np.uint8)[: self.vlenb] = np.packbits(values, bitorder="little")

    def put(self, register, bits, place, value):
        self.view(register, f"<u{bits // 8}")[place] = int(value) % 2**bits

    def put_float(self, register, bits, place, value):
        """A NaN that is computed is the canonical one."""
        if np.isnan(value):
            self.put(register, bits, place, NANS[bits])
        else:
            self.floats(register, bits)[place] = value


def low(bits, value):
    return int(value) % 2**bits


def short(bits, value):
    """Two's complement."""
    return (low(bits, value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def quotient(a, b, n):
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


INTEGERS = {
    "add": lambda n, a, b, d: a + b,
    "sub": lambda n, a, b, d: a - b,
    "rsub": lambda n, a, b, d: b - a,
    "and": lambda n, a, b, d: a & b,
    "or": lambda n, a, b, d: a | b,
    "xor": lambda n, a, b, d: a ^ b,
    "sll": lambda n, a, b, d: a * 2 ** (b % n),
    "srl": lambda n, a, b, d: low(n, a) // 2 ** (b % n),
    "sra": lambda n, a, b, d: a // 2 ** (b % n),
    "min": lambda n, a, b, d: min(a, b),
    "max": lambda n, a, b, d: max(a, b),
    "minu": lambda n, a, b, d: min(low(n, a), low(n, b)),
    "maxu": lambda n, a, b, d: max(low(n, a), low(n, b)),
    "mul": lambda n, a, b, d: a * b,
    "mulh": lambda n, a, b, d: a * b // 2**n,
    "mulhu": lambda n, a, b, d: low(n, a) * low(n, b) // 2**n,
    "mulhsu": lambda n, a, b, d: a * low(n, b) // 2**n,
    "div": lambda n, a, b, d: quotient(a, b, n),
    "divu": lambda n, a, b, d: quotient(low(n, a), low(n, b), n),
    "rem": lambda n, a, b, d: a - b * quotient(a, b, n) if b else a,
    "remu": lambda n, a, b, d: low(n, a) % low(n, b) if b else a,
    "macc": lambda n, a, b, d: d + a * b,
    "nmsac": lambda n, a, b, d: d - a * b,
    "madd": lambda n, a, b, d: d * b + a,
    "nmsub": lambda n, a, b, d: a - d * b,
}
UNSIGNED_SHIFTS = ("sll", "srl", "sra")
WITH_IMMEDIATE = ("add", "rsub", "and", "or", "xor", *UNSIGNED_SHIFTS)
ADDING = ("macc", "nmsac", "madd", "nmsub")


def line_of(name, suffix):
    """Destination v8, vs2 v16, vs1 v24 or a scalar."""
    second = {"v": "v24", "x": "a1", "i": "{i}", "f": "fa1"}[suffix[-1]]
    if any(part in name for part in ("macc", "nmsac", "madd", "nmsub", "msac", "msub")):
        return f"{name}.{suffix} v8, {second}, v16"
    return f"{name}.{suffix} v8, v16, {second}"


def second_integer(model, suffix, i, bits=None, unsigned_immediate=False):
    bits = bits or model.sew
    if suffix[-1] == "v":
        return int(model.signed(24, bits)[i])
    if suffix[-1] == "x":
        return short(bits, model.x)
    return model.immediate % 32 if unsigned_immediate else model.immediate


def integer_case(name, suffix):
    def expected(model):
        n = model.sew
        for i in model.active:
            a, d = int(model.signed(16, n)[i]), int(model.signed(8, n)[i])
            b = second_integer(model, suffix, i, unsigned_immediate=name in UNSIGNED_SHIFTS)
            model.put(8, n, i, INTEGERS[name](n, a, b, d))

    return line_of(f"v{name}", suffix), expected


CASES = {}
"""By mnemonic: the line to test, and what it does to the model."""
for name in INTEGERS:
    forms = {"rsub": ["vx", "vi"]}.get(name, ["vv", "vx"])
    forms = [*forms, "vi"] if name in WITH_IMMEDIATE and name != "rsub" else forms
    CASES |= {f"v{name}.{form}": integer_case(name, form) for form in forms}

WIDENING = {
    "vwadd": ("add", True, True),
    "vwaddu": ("add", False, False),
    "vwsub": ("sub", True, True),
    "vwsubu": ("sub", False, False),
    "vwmul": ("mul", True, True),
    "vwmulu": ("mul", False, False),
    "vwmulsu": ("mul", True, False),
    "vwmacc": ("macc", True, True),
    "vwmaccu": ("macc", False, False),
    "vwmaccsu": ("macc", False, True),
    "vwmaccus": ("macc", True, False),
}


def widening_case(name, suffix):
    does, first_signed, second_signed = WIDENING[name]

    def expected(model):
        n = model.sew
        for i in model.active:
            width = 2 * n if suffix[0] == "w" else n
            a, d = int(model.signed(16, width)[i]), int(model.signed(8, 2 * n)[i])
            b = second_integer(model, suffix, i)
            a = a if first_signed else low(width, a)
            b = b if second_signed else low(n, b)
            model.put(8, 2 * n, i, INTEGERS[does](2 * n, a, b, d))

    return line_of(name, suffix), expected


for name in WIDENING:
    forms = ["vx"] if name == "vwmaccus" else ["vv", "vx"]
    forms += ["wv", "wx"] if name[2:5] in ("add", "sub") else []
    CASES |= {f"{name}.{form}": widening_case(name, form) for form in forms}


def narrowing_case(name, suffix):
    def expected(model):
        n = model.sew
        for i in model.active:
            b = low(n, second_integer(model, suffix, i, unsigned_immediate=True))
            a = int(model.signed(16, 2 * n)[i])
            a = low(2 * n, a) if name == "vnsrl" else a
            model.put(8, n, i, a // 2 ** (b % (2 * n)))

    return line_of(name, suffix), expected


def extension_case(name, divisor):
    def expected(model):
        n = model.sew
        for i in model.active:
            a = int(model.signed(16, n // divisor)[i])
            model.put(8, n, i, a if name == "vsext" else low(n // divisor, a))

    return f"{name}.vf{divisor} v8, v16", expected


for name in ("vnsrl", "vnsra"):
    CASES |= {f"{name}.{form}": narrowing_case(name, form) for form in ("wv", "wx", "wi")}
for name in ("vzext", "vsext"):
    CASES |= {f"{name}.vf{n}": extension_case(name, n) for n in (2, 4, 8)}

COMPARES = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def compare_case(name, suffix):
    unsigned = name[-1] == "u"

    def expected(model):
        n, bits = model.sew, model.bits(8)
        for i in model.active:
            a, b = int(model.signed(16, n)[i]), second_integer(model, suffix, i)
            a, b = (low(n, a), low(n, b)) if unsigned else (a, b)
            bits[i] = COMPARES[name.rstrip("u")](a, b)
        model.put_bits(8, bits)

    return line_of(f"vms{name}", suffix), expected


for name, forms in {
    **dict.fromkeys(("eq", "ne", "le", "leu"), ("vv", "vx", "vi")),
    **dict.fromkeys(("lt", "ltu"), ("vv", "vx")),
    **dict.fromkeys(("gt", "gtu"), ("vx", "vi")),
}.items():
    CASES |= {f"vms{name}.{form}": compare_case(name, form) for form in forms}


def second_float(model, suffix, i):
    if suffix[-1] == "v":
        return model.floats(24, model.sew)[i]
    return np.array(low(model.sew, model.f), f"<u{model.sew // 8}").view(FLOATS[model.sew])[()]


def smaller(a, b, sign):
    """IEEE's minimumNumber."""
    numbers = [x for x in (a, b) if not np.isnan(x)]
    if not numbers:
        return np.nan
    return min(numbers, key=lambda x: (sign * x, sign * np.copysign(1, x)))


def fused(dtype, a, b, c):
    """Round the exact a b + c once, to the nearest of three candidates."""
    a, b, c = float(a), float(b), float(c)
    if not np.isfinite([a, b]).all():
        return dtype(np.float64(a) * np.float64(b) + np.float64(c))
    if not np.isfinite(c):
        return dtype(c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        minus = np.signbit(a) != np.signbit(b)
        same = (a == 0 or b == 0) and minus == np.signbit(c)
        return dtype(-0.0 if same and minus else 0.0)
    try:
        about = dtype(float(exact))
    except OverflowError:
        return dtype(np.inf if exact > 0 else -np.inf)
    if np.isinf(about):
        return about
    near = [np.nextafter(about, dtype(-np.inf)), about, np.nextafter(about, dtype(np.inf))]
    near = [x for x in near if np.isfinite(x)]
    unsigned = {np.float32: np.uint32, np.float64: np.uint64}[dtype]
    found = min(near, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(unsigned)) % 2))
    return np.copysign(found, dtype(-1 if exact < 0 else 1))


FLOAT = {
    "fadd": lambda t, a, b, d: a + b,
    "fsub": lambda t, a, b, d: a - b,
    "frsub": lambda t, a, b, d: b - a,
    "fmul": lambda t, a, b, d: a * b,
    "fdiv": lambda t, a, b, d: a / b,
    "frdiv": lambda t, a, b, d: b / a,
    "fmin": lambda t, a, b, d: smaller(a, b, 1),
    "fmax": lambda t, a, b, d: smaller(a, b, -1),
    "fmacc": fused,
    "fnmacc": lambda t, a, b, d: fused(t, -a, b, -d),
    "fmsac": lambda t, a, b, d: fused(t, a, b, -d),
    "fnmsac": lambda t, a, b, d: fused(t, -a, b, d),
    "fmadd": lambda t, a, b, d: fused(t, d, b, a),
    "fnmadd": lambda t, a, b, d: fused(t, -d, b, -a),
    "fmsub": lambda t, a, b, d: fused(t, d, b, -a),
    "fnmsub": lambda t, a, b, d: fused(t, -d, b, a),
}


def float_case(name, suffix):
    def expected(model):
        n = model.sew
        for i in model.active:
            a, d = model.floats(16, n)[i], model.floats(8, n)[i]
            value = FLOAT[name](FLOATS[n], a, second_float(model, suffix, i), d)
            model.put_float(8, n, i, value)

    return line_of(f"v{name}", suffix), expected


def wide_float_case(name, does, suffix):
    def expected(model):
        n = model.sew
        for i in model.active:
            a = np.float64(model.floats(16, 2 * n if suffix[0] == "w" else n)[i])
            b, d = np.float64(second_float(model, suffix, i)), model.floats(8, 2 * n)[i]
            model.put_float(8, 2 * n, i, FLOAT[does](np.float64, a, b, d))

    return line_of(name, suffix), expected


def sign_case(name, pick, suffix):
    def expected(model):
        n = model.sew
        for i in model.active:
            a = low(n, model.signed(16, n)[i])
            b = low(n, model.signed(24, n)[i]) if suffix == "vv" else low(n, model.f)
            model.put(8, n, i, a % 2 ** (n - 1) + 2 ** (n - 1) * pick(a >> (n - 1), b >> (n - 1)))

    return line_of(name, suffix), expected


def float_compare_case(name, suffix):
    def expected(model):
        bits = model.bits(8)
        for i in model.active:
            a = model.floats(16, model.sew)[i]
            bits[i] = COMPARES[name](a, second_float(model, suffix, i))
        model.put_bits(8, bits)

    return line_of(f"vmf{name}", suffix), expected


def unary_float(model, function):
    n = model.sew
    for i in model.active:
        model.put_float(8, n, i, function(model.floats(16, n)[i]))


def classes(model):
    n = model.sew
    for i in model.active:
        x, pattern = model.floats(16, n)[i], low(n, model.signed(16, n)[i])
        quiet = pattern >> (22 if n == 32 else 51) & 1
        size = abs(x)
        if np.isnan(x):
            place = 9 if quiet else 8
        else:
            kinds = (np.isinf(x), size >= np.finfo(FLOATS[n]).tiny, size > 0, True)
            rank = kinds.index(True)
            place = rank if np.signbit(x) else 7 - rank
        model.put(8, n, i, 2**place)


for name in FLOAT:
    forms = ["vf"] if name in ("frsub", "frdiv") else ["vv", "vf"]
    CASES |= {f"v{name}.{form}": float_case(name, form) for form in forms}
for does, forms in {
    **dict.fromkeys(("fadd", "fsub"), ("vv", "vf", "wv", "wf")),
    **dict.fromkeys(("fmul", "fmacc", "fnmacc", "fmsac", "fnmsac"), ("vv", "vf")),
}.items():
    wide_name = f"vfw{does[1:]}"
    CASES |= {f"{wide_name}.{form}": wide_float_case(wide_name, does, form) for form in forms}
for name, pick in {
    "vfsgnj": lambda a, b: b,
    "vfsgnjn": lambda a, b: 1 - b,
    "vfsgnjx": lambda a, b: a ^ b,
}.items():
    CASES |= {f"{name}.{form}": sign_case(name, pick, form) for form in ("vv", "vf")}
for name, forms in {
    **dict.fromkeys(("eq", "ne", "lt", "le"), ("vv", "vf")),
    **dict.fromkeys(("gt", "ge"), ("vf",)),
}.items():
    CASES |= {f"vmf{name}.{form}": float_compare_case(name, form) for form in forms}
CASES["vfsqrt.v"] = ("vfsqrt.v v8, v16", lambda model: unary_float(model, np.sqrt))
CASES["vfclass.v"] = ("vfclass.v v8, v16", classes)


def whole(x, bits, unsigned, truncated):
    least, most = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not np.isfinite(x):
        return least if x == -np.inf else most
    return min(max(int(np.trunc(x) if truncated else np.rint(x)), least), most)


def conversion_case(name, does, last):
    to_factor, of_factor = {"vfcvt": (1, 1), "vfwcvt": (2, 1), "vfncvt": (1, 2)}[name]

    def expected(model):
        to, of = to_factor * model.sew, of_factor * model.sew
        for i in model.active:
            if does == "f.f":
                model.put_float(8, to, i, FLOATS[to](model.floats(16, of)[i]))
            else:
                x = model.floats(16, of)[i]
                model.put(8, to, i, whole(x, to, "xu" in does, "rtz" in does))

    return f"{name}.{does}.{last} v8, v16", expected


def nearest_float(bits, number):
    """numpy's conversion of an integer of 64 bits rounds once."""
    kind = np.int64 if number < 2**63 else np.uint64
    return np.array([number], dtype=kind).astype(FLOATS[bits])[0]


def from_integer_case(name, does, last):
    to_factor, of_factor = {"vfcvt": (1, 1), "vfwcvt": (2, 1), "vfncvt": (1, 2)}[name]

    def expected(model):
        to, of = to_factor * model.sew, of_factor * model.sew
        for i in model.active:
            x = int(model.signed(16, of)[i])
            model.put_float(8, to, i, nearest_float(to, low(of, x) if does == "f.xu" else x))

    return f"{name}.{does}.{last} v8, v16", expected


for name, last in (("vfcvt", "v"), ("vfwcvt", "v"), ("vfncvt", "w")):
    for does in ("x.f", "xu.f", "rtz.x.f", "rtz.xu.f", "f.f"):
        if (name, does) != ("vfcvt", "f.f"):
            CASES[f"{name}.{does}.{last}"] = conversion_case(name, does, last)
    for does in ("f.x", "f.xu"):
        CASES[f"{name}.{does}.{last}"] = from_integer_case(name, does, last)


def reduction_case(name, does):
    def expected(model):
        n = model.sew
        if not model.vl:
            return
        total = int(model.signed(24, n)[0])
        for i in model.active:
            total = short(n, INTEGERS[does](n, total, int(model.signed(16, n)[i]), 0))
        model.put(8, n, 0, total)

    return f"{name}.vs v8, v16, v24", expected


def float_reduction_case(name, does):
    def expected(model):
        n = model.sew
        if not model.vl:
            return
        if not model.active:
            model.signed(8, n)[0] = model.signed(24, n)[0]
            return
        total = model.floats(24, n)[0]
        for i in model.active:
            total = FLOATS[n](FLOAT[does](FLOATS[n], total, model.floats(16, n)[i], 0))
        model.put_float(8, n, 0, total)

    return f"{name}.vs v8, v16, v24", expected


for name in ("and", "or", "xor", "min", "minu", "max", "maxu"):
    CASES[f"vred{name}.vs"] = reduction_case(f"vred{name}", name)
CASES["vredsum.vs"] = reduction_case("vredsum", "add")
for name, does in {"usum": "fadd", "osum": "fadd", "min": "fmin", "max": "fmax"}.items():
    CASES[f"vfred{name}.vs"] = float_reduction_case(f"vfred{name}", does)


def mask_case(name, function):
    def expected(model):
        bits = model.bits(8)
        a, b = model.bits(16).astype(bool), model.bits(24).astype(bool)
        bits[: model.vl] = function(a, b)[: model.vl]
        model.put_bits(8, bits)

    return f"{name}.mm v8, v16, v24", expected


for name, function in {
    "vmand": lambda a, b: a & b,
    "vmnand": lambda a, b: ~(a & b),
    "vmandn": lambda a, b: a & ~b,
    "vmxor": lambda a, b: a ^ b,
    "vmor": lambda a, b: a | b,
    "vmnor": lambda a, b: ~(a | b),
    "vmorn": lambda a, b: a | ~b,
    "vmxnor": lambda a, b: ~(a ^ b),
}.items():
    CASES[f"{name}.mm"] = mask_case(name, function)


def population(model):
    model.scalar = int(model.bits(16)[model.active].sum())


def first_set(model):
    places = [i for i in model.active if model.bits(16)[i]]
    model.scalar = low(64, places[0] if places else -1)


def indices(model):
    for i in model.active:
        model.put(8, model.sew, i, i)


CASES |= {
    "vcpop.m": ("vcpop.m a0, v16", population),
    "vfirst.m": ("vfirst.m a0, v16", first_set),
    "vid.v": ("vid.v v8", indices),
}


def placed(pick):
    """Each active element as `pick` says: an element of vs2 by its place, or a pattern."""

    def expected(model):
        n = model.sew
        before = model.view(16, f"<u{n // 8}").copy()
        for i in model.active:
            kind, value = pick(model, i)
            if kind == "element":
                value = int(before[value]) if value < model.most else 0
            if kind != "keep":
                model.put(8, n, i, value)

    return expected


def up_by(amount):
    return placed(lambda m, i: ("element", i - amount(m)) if i >= amount(m) else ("keep", None))


def down_by(amount):
    return placed(lambda m, i: ("element", i + amount(m)))


def one_up(scalar):
    return placed(lambda m, i: ("element", i - 1) if i else ("pattern", scalar(m)))


def one_down(scalar):
    return placed(lambda m, i: ("element", i + 1) if i < m.vl - 1 else ("pattern", scalar(m)))


def gathered(index):
    return placed(lambda m, i: ("element", index(m, i)))


def near(model):
    """The scalar as an offset: small, so that elements meet."""
    return model.x


def five(model):
    return model.immediate % 32


def merged(second):
    def expected(model):
        n = model.sew
        for i in range(model.vl):
            first = int(model.signed(16, n)[i])
            model.put(8, n, i, second(model, i) if model.mask[i] else first)

    return expected


def moved(second):
    def expected(model):
        for i in range(model.vl):
            model.put(8, model.sew, i, second(model, i))

    return expected


def first_only(value):
    def expected(model):
        if model.vl:
            model.put(8, model.sew, 0, value(model))

    return expected


def first_to_integer(model):
    model.scalar = low(64, int(model.signed(16, model.sew)[0]))


def first_to_float(model):
    n = model.sew
    model.scalar = low(n, model.signed(16, n)[0]) + (2**64 - 2**32 if n == 32 else 0)


def copied(count):
    def expected(model):
        size = count * model.vlenb
        model.view(8, np.uint8)[:size] = model.view(16, np.uint8)[:size].copy()

    return expected


CASES |= {
    "vslideup.vx": ("vslideup.vx v8, v16, a1", up_by(near)),
    "vslideup.vi": ("vslideup.vi v8, v16, {u}", up_by(five)),
    "vslidedown.vx": ("vslidedown.vx v8, v16, a1", down_by(near)),
    "vslidedown.vi": ("vslidedown.vi v8, v16, {u}", down_by(five)),
    "vslide1up.vx": ("vslide1up.vx v8, v16, a1", one_up(lambda m: m.x)),
    "vslide1down.vx": ("vslide1down.vx v8, v16, a1", one_down(lambda m: m.x)),
    "vfslide1up.vf": ("vfslide1up.vf v8, v16, fa1", one_up(lambda m: m.f)),
    "vfslide1down.vf": ("vfslide1down.vf v8, v16, fa1", one_down(lambda m: m.f)),
    "vrgather.vv": (
        "vrgather.vv v8, v16, v24",
        gathered(lambda m, i: low(m.sew, m.signed(24, m.sew)[i])),
    ),
    "vrgather.vx": ("vrgather.vx v8, v16, a1", gathered(lambda m, i: m.x)),
    "vrgather.vi": ("vrgather.vi v8, v16, {u}", gathered(lambda m, i: five(m))),
    "vmerge.vvm": ("vmerge.vvm v8, v16, v24, v0", merged(lambda m, i: m.signed(24, m.sew)[i])),
    "vmerge.vxm": ("vmerge.vxm v8, v16, a1, v0", merged(lambda m, i: m.x)),
    "vmerge.vim": ("vmerge.vim v8, v16, {i}, v0", merged(lambda m, i: m.immediate)),
    "vfmerge.vfm": ("vfmerge.vfm v8, v16, fa1, v0", merged(lambda m, i: m.f)),
    "vmv.v.v": ("vmv.v.v v8, v24", moved(lambda m, i: m.signed(24, m.sew)[i])),
    "vmv.v.x": ("vmv.v.x v8, a1", moved(lambda m, i: m.x)),
    "vmv.v.i": ("vmv.v.i v8, {i}", moved(lambda m, i: m.immediate)),
    "vfmv.v.f": ("vfmv.v.f v8, fa1", moved(lambda m, i: m.f)),
    "vmv.s.x": ("vmv.s.x v8, a1", first_only(lambda m: m.x)),
    "vfmv.s.f": ("vfmv.s.f v8, fa1", first_only(lambda m: m.f)),
    "vmv.x.s": ("vmv.x.s a0, v16", first_to_integer),
    "vfmv.f.s": ("vfmv.f.s fa0, v16", first_to_float),
    **{f"vmv{n}r.v": (f"vmv{n}r.v v8, v16", copied(n)) for n in (1, 2, 4, 8)},
}
FLOATING = tuple(name for name in CASES if name.startswith(("vf", "vmf")))
NO_MASK = ("vmv", "vfmv", "vmerge", "vfmerge", *(n for n in CASES if n.endswith(".mm")))


@cache
def assembled(text):
    return assemble(text, xlen=64)


def random_content(rng, size, floating):
    """Registers of edge values and random ones, elements of mixed widths."""
    content = rng.integers(0, 256, size, dtype=np.uint8)
    for place in range(0, size, 8):
        pick = rng.integers(0, 4)
        if pick == 0:
            edge = np.array([INTEGER_EDGES[rng.integers(len(INTEGER_EDGES))] % 2**64], np.uint64)
            content[place : place + 8] = edge.view(np.uint8)
        elif pick < 3 and floating:
            with np.errstate(over="ignore"):
                edges = np.array(FLOAT_EDGES)[rng.integers(0, len(FLOAT_EDGES), 2)]
                both = edges.astype(np.float32) if floating == 32 else edges[:1]
            content[place : place + 8] = both.view(np.uint8)
        elif pick == 3 and floating:
            near_one = rng.standard_normal(8 // (floating // 8)).astype(FLOATS[floating])
            content[place : place + 8] = near_one.view(np.uint8)
    return content


def wide_enough(name, sew, lmul, vlen):
    """Whether every operand's width and group exist."""
    factor = 2 if name.startswith(("vw", "vfw", "vn", "vfn")) else 1
    if sew * factor > min(64, vlen) or lmul * factor > 8 or sew > min(64, vlen) * min(lmul, 1):
        return False
    if ".vf" in name and "ext" in name:
        divisor = int(name[-1])
        return sew // divisor >= 8 and lmul / divisor >= 1 / 8
    if name not in FLOATING:
        return True
    if "cvt" in name:
        of, to = (sew * (2 if "fn" in name else 1), sew * (2 if "fw" in name else 1))
        parts = name.split(".")[-3:-1]
        return all(width in FLOATS for part, width in zip(parts, (to, of)) if part == "f")  # noqa: B905
    return sew in FLOATS


@st.composite
def configurations(draw, name):
    vlen = draw(st.sampled_from([32, 64, 128, 256]))
    possible = [
        (sew, lmul)
        for sew in (8, 16, 32, 64)
        for lmul in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
        if wide_enough(name, sew, lmul, vlen)
    ]
    if not possible:
        vlen = 128
        possible = [(sew, 1) for sew in (16, 32, 64) if wide_enough(name, sew, 1, vlen)]
    return vlen, *draw(st.sampled_from(possible))


@pytest.mark.parametrize("name", CASES)
@VECTORS
@given(data=st.data())
def test_a_vector_instruction_does_to_the_registers_what_the_numpy_model_does(name, data):
    line, expected = CASES[name]
    vlen, sew, lmul = data.draw(configurations(name))
    most = int(vlen * lmul) // sew
    length = data.draw(st.sampled_from([most, most, 0, 1, most // 2, max(most - 1, 0)]))
    masked = data.draw(st.booleans()) and not name.startswith(NO_MASK) and name not in NO_MASK
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    content = random_content(rng, 32 * vlen // 8, sew if name in FLOATING and sew > 16 else 0)
    immediate = int(rng.integers(-16, 16))
    x = int(rng.choice([0, 1, 2, 3, 7, 2**64 - 1, 2**63, int(rng.integers(0, 2**63))]))
    f = int(rng.integers(0, 2**63)) if sew == 64 else 2**64 - 2**32 + int(rng.integers(0, 2**32))
    if sew == 64 and rng.integers(2):
        f = int(np.array(rng.choice(FLOAT_EDGES)).view(np.uint64))
    model = Model(content, vlen, sew, lmul, length, masked, x, f, immediate)
    word = f"m{lmul}" if lmul >= 1 else f"mf{int(1 / lmul)}"
    unsigned = name.startswith(("vsll", "vsrl", "vsra", "vnsr"))
    line = line.format(i=immediate % 32 if unsigned else immediate, u=immediate % 32)
    text = f"vsetvli a2, a3, e{sew}, {word}, ta, ma\n{line}{', v0.t' if masked else ''}"
    machine = Machine(assembled(text), vlen_bits=vlen)
    machine.vectors.content[:] = content.tobytes()
    for register, value in (("a1", x), ("a3", length), ("fa1", f)):
        machine.registers[NUMBERS[register]] = value
    machine.step()
    machine.step()
    with np.errstate(all="ignore"):
        expected(model)
    got = np.frombuffer(bytes(machine.vectors.content), np.uint8)
    assert machine.registers[NUMBERS["a2"]] == length
    assert np.array_equal(got, model.content), (text, np.nonzero(got != model.content))
    if model.scalar is not None:
        dest = "fa0" if name == "vfmv.f.s" else "a0"
        assert machine.registers[NUMBERS[dest]] == model.scalar


SIZES = (8, 16, 32, 64)
UNIT = {f"v{way}e{bits}.v": bits for way in "ls" for bits in SIZES}
STRIDED = {f"v{way}se{bits}.v": bits for way in ("l", "s") for bits in SIZES}
INDEXED = {f"v{way}{order}xei{bits}.v": bits for way in "ls" for order in "uo" for bits in SIZES}
MASKS = ("vlm.v", "vsm.v")
WHOLE = {f"vl{n}re{bits}.v": n for n in (1, 2, 4, 8) for bits in SIZES}
WHOLE |= {f"v{way}{n}r.v": n for way in "ls" for n in (1, 2, 4, 8)}
CONFIGURATION = ("vsetvli", "vsetivli", "vsetvl")


def memory_machine(  # noqa: PLR0917 - an access and what it finds
    rng, line, vlen, setup, length, registers
):
    """A machine after one access, and what memory and registers were before."""
    text = f"{setup}\n{line}\n.data\nroom: .zero {ROOM}"
    machine = Machine(assembled(text), vlen_bits=vlen)
    content = rng.integers(0, 256, 32 * vlen // 8, dtype=np.uint8)
    room = rng.integers(0, 256, ROOM, dtype=np.uint8)
    for place in range(16, 24):  # small indices
        size = vlen // 8
        indices = rng.permutation(size // 8) if vlen >= 64 else np.zeros(1, int)
        content[place * size : (place + 1) * size] = 0
        content[place * size : place * size + size // 8 * 8 : 8] = 8 * indices[: size // 8]
    machine.vectors.content[:] = content.tobytes()
    machine.memory.fill(DATA, room.tobytes())
    for register, value in registers.items():
        machine.registers[NUMBERS[register]] = value
    machine.registers[NUMBERS["a3"]] = length
    machine.step()
    machine.step()
    return machine, content, room


def moved_by(  # noqa: PLR0917 - an access and what it finds
    name, room, content, places, size, register=8, vlenb=16
):
    """Memory and registers after elements of `size` bytes move, by place and offset."""
    at = register * vlenb
    for element, offset in places:
        here, there = (
            slice(at + element * size, at + (element + 1) * size),
            slice(offset, offset + size),
        )
        if name[1] == "l":
            content[here] = room[there]
        else:
            room[there] = content[here]
    return room, content


def check_access(machine, room, content):
    assert machine.memory.dump(DATA, ROOM) == room.tobytes()
    assert bytes(machine.vectors.content) == content.tobytes()


@pytest.mark.parametrize("name", [*UNIT, *STRIDED, *INDEXED])
@settings(VECTORS, max_examples=8)
@given(data=st.data())
def test_an_access_moves_the_elements_that_take_part_and_no_others(name, data):
    vlen = data.draw(st.sampled_from([64, 128, 256]))
    bits = (UNIT | STRIDED | INDEXED)[name]
    lmul = data.draw(st.sampled_from([1, 2]))
    length = data.draw(st.integers(0, vlen * lmul // bits))
    masked, stride = data.draw(st.booleans()), 8 * data.draw(st.integers(-3, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    base = ROOM // 2
    operand = {**dict.fromkeys(STRIDED, ", a4"), **dict.fromkeys(INDEXED, ", v16")}.get(name, "")
    setup = f"vsetvli a2, a3, e{bits}, m{lmul}, ta, ma"
    line = f"{name} v8, (a0){operand}{', v0.t' if masked else ''}"
    registers = {"a0": DATA + base, "a4": stride % 2**64}
    machine, content, room = memory_machine(rng, line, vlen, setup, length, registers)
    mask = np.unpackbits(content[: vlen // 8], bitorder="little")
    indices = content[2 * vlen :].view(f"<u{bits // 8}")
    offsets = {True: lambda i: i * stride, False: lambda i: i * bits // 8}[name in STRIDED]
    places = [
        (i, base + (int(indices[i]) if name in INDEXED else offsets(i)))
        for i in range(length)
        if not masked or mask[i]
    ]
    expected = moved_by(name, room, content, places, bits // 8, vlenb=vlen // 8)
    check_access(machine, *expected)


@pytest.mark.parametrize("name", [*MASKS, *WHOLE])
@settings(VECTORS, max_examples=4)
@given(length=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_masks_and_whole_registers_move_byte_by_byte(name, length, seed):
    vlen, rng = 128, np.random.default_rng(seed)
    setup = "vsetvli a2, a3, e8, m4, ta, ma" if name in MASKS else "nop"
    registers = {"a0": DATA + 64}
    machine, content, room = memory_machine(rng, f"{name} v8, (a0)", vlen, setup, length, registers)
    count = -(-length // 8) if name in MASKS else WHOLE[name] * vlen // 8
    places = [(i, 64 + i) for i in range(count)]
    check_access(machine, *moved_by(name, room, content, places, 1))


def test_every_instruction_of_the_table_has_a_case():
    tested = {*CASES, *UNIT, *STRIDED, *INDEXED, *MASKS, *WHOLE, *CONFIGURATION}
    assert tested == set(VECTOR_OPERATIONS)
