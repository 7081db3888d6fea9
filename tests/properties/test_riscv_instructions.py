"""Every instruction against a model written apart: fixed-width Python integers, numpy floats."""

import struct
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.riscv import OPERATIONS, Machine, assemble
from sim.cpu.riscv.registers import NUMBERS

settings.register_profile("instructions", max_examples=25, deadline=None)
INSTRUCTIONS = settings.get_profile("instructions")
A1, A2, FA1, FA2, FA3 = (NUMBERS[name] for name in ("a1", "a2", "fa1", "fa2", "fa3"))


def twos(bits, value):
    """Two's complement by way of bytes."""
    return int.from_bytes((value % 2**bits).to_bytes(bits // 8, "little"), "little", signed=True)


def unsigned(bits, value):
    return value % 2**bits


def truncated(a, b):
    return int(Fraction(a, b))


def divided(bits, a, b):
    return -1 if b == 0 else truncated(a, b)


def rest(bits, a, b):
    return a if b == 0 else a - b * truncated(a, b)


SIGNED = {
    "add": lambda n, a, b: a + b,
    "sub": lambda n, a, b: a - b,
    "and": lambda n, a, b: a & b,
    "or": lambda n, a, b: a | b,
    "xor": lambda n, a, b: a ^ b,
    "slt": lambda n, a, b: a < b,
    "sltu": lambda n, a, b: unsigned(n, a) < unsigned(n, b),
    "sll": lambda n, a, b: a * 2 ** (b % n),
    "srl": lambda n, a, b: unsigned(n, a) // 2 ** (b % n),
    "sra": lambda n, a, b: a // 2 ** (b % n),
    "mul": lambda n, a, b: a * b,
    "mulh": lambda n, a, b: (a * b) // 2**n,
    "mulhsu": lambda n, a, b: (a * unsigned(n, b)) // 2**n,
    "mulhu": lambda n, a, b: (unsigned(n, a) * unsigned(n, b)) // 2**n,
    "div": divided,
    "divu": lambda n, a, b: divided(n, unsigned(n, a), unsigned(n, b)),
    "rem": rest,
    "remu": lambda n, a, b: rest(n, unsigned(n, a), unsigned(n, b)),
}
WORDS = ("add", "sub", "sll", "srl", "sra", "mul", "div", "divu", "rem", "remu")
IMMEDIATES = {
    "addi": "add",
    "andi": "and",
    "ori": "or",
    "xori": "xor",
    "slti": "slt",
    "sltiu": "sltu",
}
SHIFTS = {"slli": "sll", "srli": "srl", "srai": "sra"}
BRANCHES = {
    "beq": lambda n, a, b: a == b,
    "bne": lambda n, a, b: a != b,
    "blt": lambda n, a, b: a < b,
    "bge": lambda n, a, b: a >= b,
    "bltu": lambda n, a, b: unsigned(n, a) < unsigned(n, b),
    "bgeu": lambda n, a, b: unsigned(n, a) >= unsigned(n, b),
}
EDGES = [0, 1, 2, 31, 32, 63, 64, -1, -2, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, -(2**63), 2**32]
integers = st.one_of(st.sampled_from(EDGES), st.integers(-(2**63), 2**64 - 1))
xlens = st.sampled_from([32, 64])


@lru_cache(maxsize=4096)
def program(line, xlen):
    return assemble(f".data\nv: .zero 64\n.text\nnop\nstart: {line}\nnop\nnop", xlen=xlen)


def stepped(line, xlen, registers):
    """A machine after one instruction."""
    machine = Machine(program(line, xlen))
    machine.address = 4
    for number, value in registers.items():
        machine.registers[number] = value
    machine.step()
    return machine


def integer_result(line, xlen, a, b=0):
    registers = {A1: unsigned(xlen, a), A2: unsigned(xlen, b)}
    return stepped(line, xlen, registers).registers[NUMBERS["a0"]]


@pytest.mark.parametrize("name", SIGNED)
@INSTRUCTIONS
@given(a=integers, b=integers, xlen=xlens)
def test_register_instructions_compute_what_wide_integers_do(name, a, b, xlen):
    expected = SIGNED[name](xlen, twos(xlen, a), twos(xlen, b))
    assert integer_result(f"{name} a0, a1, a2", xlen, a, b) == unsigned(xlen, expected)


@pytest.mark.parametrize("name", WORDS)
@INSTRUCTIONS
@given(a=integers, b=integers)
def test_word_instructions_work_on_32_bits_and_extend_the_sign(name, a, b):
    expected = twos(32, int(SIGNED[name](32, twos(32, a), twos(32, b))))
    assert integer_result(f"{name}w a0, a1, a2", 64, a, b) == unsigned(64, expected)


@pytest.mark.parametrize("name", IMMEDIATES)
@INSTRUCTIONS
@given(a=integers, immediate=st.integers(-2048, 2047), xlen=xlens)
def test_immediate_instructions_extend_the_immediates_sign(name, a, immediate, xlen):
    expected = SIGNED[IMMEDIATES[name]](xlen, twos(xlen, a), immediate)
    assert integer_result(f"{name} a0, a1, {immediate}", xlen, a) == unsigned(xlen, expected)


@pytest.mark.parametrize("name", SHIFTS)
@INSTRUCTIONS
@given(a=integers, amount=st.integers(0, 31), xlen=xlens)
def test_shifts_by_an_immediate(name, a, amount, xlen):
    expected = SIGNED[SHIFTS[name]](xlen, twos(xlen, a), amount)
    assert integer_result(f"{name} a0, a1, {amount}", xlen, a) == unsigned(xlen, expected)
    word = twos(32, SIGNED[SHIFTS[name]](32, twos(32, a), amount))
    assert integer_result(f"{name}w a0, a1, {amount}", 64, a) == unsigned(64, word)


@INSTRUCTIONS
@given(a=integers, immediate=st.integers(-2048, 2047), upper=st.integers(0, 2**20 - 1), xlen=xlens)
def test_upper_immediates_and_addiw(a, immediate, upper, xlen):
    loaded = twos(32, upper * 4096)
    assert integer_result(f"lui a0, {upper}", xlen, 0) == unsigned(xlen, loaded)
    assert integer_result(f"auipc a0, {upper}", xlen, 0) == unsigned(xlen, loaded + 4)
    word = twos(32, twos(32, a) + immediate)
    assert integer_result(f"addiw a0, a1, {immediate}", 64, a) == unsigned(64, word)


@pytest.mark.parametrize("name", BRANCHES)
@INSTRUCTIONS
@given(a=integers, b=integers, equal=st.booleans(), xlen=xlens)
def test_branches_go_where_their_condition_says(name, a, b, equal, xlen):
    b = a if equal else b
    machine = stepped(f"{name} a1, a2, 8", xlen, {A1: unsigned(xlen, a), A2: unsigned(xlen, b)})
    holds = BRANCHES[name](xlen, twos(xlen, a), twos(xlen, b))
    assert machine.address == (12 if holds else 8)


def test_jumps_leave_the_address_of_the_next_instruction():
    machine = stepped("jal a0, start", 32, {})
    assert (machine.address, machine.registers[NUMBERS["a0"]]) == (4, 8)
    machine = stepped("jalr a1, 5(a1)", 32, {A1: 4})
    assert (machine.address, machine.registers[A1]) == (8, 8)  # the lowest bit is dropped


LOADS = {"lb": "<b", "lbu": "<B", "lh": "<h", "lhu": "<H", "lw": "<i", "lwu": "<I", "ld": "<q"}
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
DATA = 0x1000_0000


@pytest.mark.parametrize("name", LOADS)
@INSTRUCTIONS
@given(content=st.binary(min_size=8, max_size=8))
def test_loads_read_what_struct_does(name, content):
    machine = Machine(program(f"{name} a0, 8(a1)", 64))
    machine.memory.fill(DATA + 8, content)
    machine.address, machine.registers[A1] = 4, DATA
    machine.step()
    expected = struct.unpack_from(LOADS[name], content)[0]
    assert machine.registers[NUMBERS["a0"]] == unsigned(64, expected)


@pytest.mark.parametrize("name", STORES)
@INSTRUCTIONS
@given(value=integers)
def test_stores_write_the_lowest_bytes_and_no_more(name, value):
    machine = stepped(f"{name} a1, 8(a2)", 64, {A1: unsigned(64, value), A2: DATA})
    size = STORES[name]
    written = unsigned(64, value).to_bytes(8, "little")[:size]
    assert machine.memory.dump(DATA + 8, 8) == written + bytes(8 - size)


ATOMICS = {
    "swap": lambda old, b: b,
    "add": lambda old, b: old + b,
    "xor": lambda old, b: old ^ b,
    "and": lambda old, b: old & b,
    "or": lambda old, b: old | b,
    "min": min,
    "max": max,
    "minu": lambda old, b: min(old % 2**64, b % 2**64),
    "maxu": lambda old, b: max(old % 2**64, b % 2**64),
}


@pytest.mark.parametrize("name", ATOMICS)
@INSTRUCTIONS
@given(old=integers, b=integers, size=st.sampled_from([4, 8]))
def test_atomics_return_the_old_value_and_store_the_new(name, old, b, size):
    bits = 8 * size
    machine = Machine(program(f"amo{name}.{'w' if size == 4 else 'd'} a0, a1, (a2)", 64))
    machine.memory.fill(DATA, unsigned(bits, old).to_bytes(size, "little"))
    machine.address = 4
    machine.registers[A1], machine.registers[A2] = unsigned(64, b), DATA
    machine.step()
    assert machine.registers[NUMBERS["a0"]] == unsigned(64, twos(bits, old))
    new = unsigned(bits, ATOMICS[name](twos(bits, old), twos(bits, b)))
    assert machine.memory.read(DATA, size) == new


# Floating point: patterns in, numpy's arithmetic beside

FORMS = {
    "s": (np.float32, np.uint32, "<f", "<I", 0x7FC0_0000),
    "d": (np.float64, np.uint64, "<d", "<Q", 0x7FF8_0000_0000_0000),
}
SPECIAL = {
    "s": [
        *(0, 1 << 31, 1, 0x007F_FFFF, 0x0080_0000, 0x3F80_0000, 0xBF80_0000, 0x7F7F_FFFF),
        *(0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F80_0001, 0xFFC1_2345),
        *(0x4F00_0000, 0xCF00_0000),
    ],
    "d": [
        *(0, 1 << 63, 1, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000),
        *(0x3FF0 << 48, 0xBFF0 << 48, 0x7FEF_FFFF_FFFF_FFFF, 0x7FF0 << 48, 0xFFF0 << 48),
        *(0x7FF8 << 48, (0x7FF0 << 48) | 1, 0x41E0 << 48, 0xC1E0 << 48, 0x43E0 << 48),
    ],
}
letters = st.sampled_from("sd")


@st.composite
def operands(draw, count):
    letter = draw(letters)
    bits = 32 if letter == "s" else 64
    near_one = st.integers(0, 2 ** (bits - 12)).map(lambda low: (0x3F80 << (bits - 16)) + low)
    pattern = st.one_of(st.sampled_from(SPECIAL[letter]), st.integers(0, 2**bits - 1), near_one)
    return letter, [draw(pattern) for _ in range(count)]


def number(letter, pattern):
    _, _, code, integer_code, _ = FORMS[letter]
    return struct.unpack(code, struct.pack(integer_code, pattern))[0]


def pattern_of(letter, value):
    """Pattern of a numpy number; every NaN is the canonical one."""
    dtype, integer, _, _, canonical = FORMS[letter]
    return canonical if np.isnan(value) else int(np.array(value, dtype=dtype).view(integer))


def boxed(letter, pattern):
    return pattern | 0xFFFF_FFFF_0000_0000 if letter == "s" else pattern


def float_step(line, letter, patterns, dest="fa0"):
    registers = dict(zip((FA1, FA2, FA3), (boxed(letter, p) for p in patterns), strict=False))
    return stepped(line, 64, registers).registers[NUMBERS[dest]]


def numpy_values(letter, patterns):
    _, integer, *_ = FORMS[letter]
    return [np.array(p, dtype=integer).view(FORMS[letter][0])[()] for p in patterns]


ARITHMETIC = {
    "fadd": lambda a, b: a + b,
    "fsub": lambda a, b: a - b,
    "fmul": lambda a, b: a * b,
    "fdiv": lambda a, b: a / b,
}


@pytest.mark.parametrize("name", ARITHMETIC)
@settings(INSTRUCTIONS, max_examples=120)
@given(case=operands(2))
def test_float_arithmetic_is_numpys_in_either_format(name, case):
    letter, patterns = case
    with np.errstate(all="ignore"):
        expected = ARITHMETIC[name](*numpy_values(letter, patterns))
    got = float_step(f"{name}.{letter} fa0, fa1, fa2", letter, patterns)
    assert got == boxed(letter, pattern_of(letter, expected))


@settings(INSTRUCTIONS, max_examples=120)
@given(case=operands(1))
def test_square_roots_are_numpys(case):
    letter, patterns = case
    with np.errstate(all="ignore"):
        expected = np.sqrt(numpy_values(letter, patterns)[0])
    got = float_step(f"fsqrt.{letter} fa0, fa1", letter, patterns)
    assert got == boxed(letter, pattern_of(letter, expected))


def fraction(value):
    """Exact; an infinity lies beyond every finite number."""
    return (
        Fraction(float(value)) if np.isfinite(value) else Fraction(2) ** 5000 * int(np.sign(value))
    )


def between_neighbours(letter, exact, mode):
    """Round an exact number to a neighbour in numpy's order of floats."""
    dtype = FORMS[letter][0]
    most = Fraction(float(np.finfo(dtype).max))
    ulp = Fraction(2) ** (127 - 23 if letter == "s" else 1023 - 52)
    low, high = -most, most
    if exact > most or exact < -most:
        sign = 1 if exact > 0 else -1
        away = {"rtz": False, "rup": sign > 0, "rdn": sign < 0}.get(
            mode, abs(exact) >= most + ulp / 2
        )
        return dtype(sign * np.inf) if away else dtype(sign * np.finfo(dtype).max)
    with np.errstate(all="ignore"):
        below = above = np.clip(dtype(float(exact)), dtype(float(low)), dtype(float(high)))
        while fraction(below) > exact:
            below = np.nextafter(below, dtype(-np.inf))
        while fraction(above) < exact:
            above = np.nextafter(above, dtype(np.inf))
        while fraction(np.nextafter(below, dtype(np.inf))) <= exact:
            below = np.nextafter(below, dtype(np.inf))
        while fraction(np.nextafter(above, dtype(-np.inf))) >= exact:
            above = np.nextafter(above, dtype(-np.inf))
    down, up = exact - fraction(below), fraction(above) - exact
    even = above if int(above.view(FORMS[letter][1])) % 2 == 0 else below
    nearest = below if down < up else above
    away = above if exact > 0 else below
    return {
        "rne": nearest if down != up else even,
        "rmm": nearest if down != up else away,
        "rtz": below if exact > 0 else above,
        "rdn": below,
        "rup": above,
    }[mode]


FUSED = {"fmadd": (1, 1), "fmsub": (1, -1), "fnmsub": (-1, 1), "fnmadd": (-1, -1)}
MODES = ("rne", "rtz", "rdn", "rup", "rmm")


@pytest.mark.parametrize("name", FUSED)
@settings(INSTRUCTIONS, max_examples=80)
@given(case=operands(3), mode=st.sampled_from(MODES))
def test_fused_multiply_add_rounds_the_exact_number_once(name, case, mode):
    letter, patterns = case
    (a, b, c), (sign, addend) = (number(letter, p) for p in patterns), FUSED[name]
    got = float_step(f"{name}.{letter} fa0, fa1, fa2, fa3, {mode}", letter, patterns)
    if not np.isfinite([a, b, c]).all():
        with np.errstate(all="ignore"):
            product = np.float64(a) * np.float64(b) if not np.isfinite([a, b]).all() else 0.0
            expected = sign * product + addend * np.float64(c)
        assert got == boxed(letter, pattern_of(letter, expected))
        return
    exact = sign * Fraction(a) * Fraction(b) + addend * Fraction(c)
    if exact == 0:
        zeros = {np.signbit(sign * np.float64(a)) ^ np.signbit(b), np.signbit(addend * c)}
        cancel = Fraction(a) * Fraction(b) != 0 or len(zeros) == 2
        minus = mode == "rdn" if cancel else zeros.pop()
        expected = pattern_of(letter, -0.0 if minus else 0.0)
    else:
        rounded = between_neighbours(letter, exact, mode)
        expected = pattern_of(letter, rounded)
        if rounded == 0 and exact < 0:
            expected = pattern_of(letter, -0.0)
    assert got == boxed(letter, expected)


@settings(INSTRUCTIONS, max_examples=150)
@given(
    case=operands(2), mode=st.sampled_from(MODES), name=st.sampled_from(["fadd", "fmul", "fdiv"])
)
def test_every_rounding_mode_picks_the_right_neighbour(case, mode, name):
    letter, patterns = case
    a, b = (number(letter, p) for p in patterns)
    if not np.isfinite([a, b]).all() or (name == "fdiv" and b == 0):
        return
    exact = ARITHMETIC[name](Fraction(a), Fraction(b))
    if exact == 0:
        return
    expected = pattern_of(letter, between_neighbours(letter, exact, mode))
    if expected == 0 and exact < 0:
        expected = pattern_of(letter, -0.0)
    got = float_step(f"{name}.{letter} fa0, fa1, fa2, {mode}", letter, patterns)
    assert got == boxed(letter, expected)


@pytest.mark.parametrize("mode", MODES)
@INSTRUCTIONS
@given(case=operands(1))
def test_square_roots_bracket_the_number_in_every_mode(mode, case):
    letter, patterns = case
    value = number(letter, patterns[0])
    if not (np.isfinite(value) and value > 0):
        return
    got = float_step(f"fsqrt.{letter} fa0, fa1, {mode}", letter, patterns)
    root = numpy_values(letter, [got & (2**32 - 1) if letter == "s" else got])[0]
    exact = Fraction(value)
    up, down = (Fraction(float(np.nextafter(root, root.dtype.type(x)))) for x in (np.inf, 0))
    here = Fraction(float(root))
    if mode in ("rtz", "rdn"):
        assert here**2 <= exact < up**2
    elif mode == "rup":
        assert down**2 < exact <= here**2
    else:
        assert ((down + here) / 2) ** 2 <= exact <= ((here + up) / 2) ** 2


COMPARISONS = {"feq": lambda a, b: a == b, "flt": lambda a, b: a < b, "fle": lambda a, b: a <= b}


@pytest.mark.parametrize("name", COMPARISONS)
@settings(INSTRUCTIONS, max_examples=60)
@given(case=operands(2))
def test_comparisons_are_false_on_a_nan(name, case):
    letter, patterns = case
    expected = COMPARISONS[name](*numpy_values(letter, patterns))
    assert float_step(f"{name}.{letter} a0, fa1, fa2", letter, patterns, "a0") == int(expected)


@settings(INSTRUCTIONS, max_examples=120)
@given(case=operands(2))
def test_minimum_and_maximum_take_the_number_and_order_the_zeros(case):
    letter, patterns = case
    a, b = numpy_values(letter, patterns)
    for name, numpys in (("fmin", np.fmin), ("fmax", np.fmax)):
        known = [value for value in (a, b) if not np.isnan(value)]  # a NaN of either kind yields
        expected = pattern_of(letter, numpys(*known) if len(known) == 2 else (*known, np.nan)[0])
        if a == b == 0:
            minus = patterns[0] if np.signbit(a) else patterns[1]
            plus = patterns[1] if np.signbit(a) else patterns[0]
            expected = minus if name == "fmin" else plus
        got = float_step(f"{name}.{letter} fa0, fa1, fa2", letter, patterns)
        assert got == boxed(letter, expected)


@settings(INSTRUCTIONS, max_examples=60)
@given(case=operands(2))
def test_sign_injection_touches_nothing_but_the_sign(case):
    letter, (a, b) = case
    top = 1 << (31 if letter == "s" else 63)
    signs = {"fsgnj": b & top, "fsgnjn": ~b & top, "fsgnjx": (a ^ b) & top}
    for name, sign in signs.items():
        got = float_step(f"{name}.{letter} fa0, fa1, fa2", letter, (a, b))
        assert got == boxed(letter, a & (top - 1) | sign)


@settings(INSTRUCTIONS, max_examples=60)
@given(case=operands(1))
def test_classes_are_those_of_numpy(case):
    letter, patterns = case
    (value,) = numpy_values(letter, patterns)
    tiny = np.finfo(value.dtype).tiny
    if np.isnan(value):
        quiet = patterns[0] >> (22 if letter == "s" else 51) & 1
        place = 9 if quiet else 8
    else:
        size = abs(value)
        rank = 0 if size == 0 else 1 if size < tiny else 3 if np.isinf(size) else 2
        place = 3 - rank if np.signbit(value) else 4 + rank
    assert float_step(f"fclass.{letter} a0, fa1", letter, patterns, "a0") == 1 << place


TO_INTEGER = {"w": (-(2**31), 2**31 - 1), "wu": (0, 2**32 - 1)} | {
    "l": (-(2**63), 2**63 - 1),
    "lu": (0, 2**64 - 1),
}
ROUNDED = {
    "rne": round,
    "rtz": int,
    "rdn": lambda x: x.__floor__(),
    "rup": lambda x: x.__ceil__(),
    "rmm": lambda x: int(abs(x) + Fraction(1, 2)) * (1 if x > 0 else -1),
}


@pytest.mark.parametrize("name", TO_INTEGER)
@settings(INSTRUCTIONS, max_examples=80)
@given(case=operands(1), mode=st.sampled_from(MODES), small=st.integers(-50, 50))
def test_conversion_to_integers_rounds_and_clamps(name, case, mode, small):
    letter, patterns = case
    if small % 2:
        patterns = [pattern_of(letter, FORMS[letter][0](small / 4))]
    value = number(letter, patterns[0])
    least, most = TO_INTEGER[name]
    if np.isnan(value):
        whole = most
    elif np.isinf(value):
        whole = most if value > 0 else least
    else:
        whole = min(max(ROUNDED[mode](Fraction(value)), least), most)
    bits = 32 if name[0] == "w" else 64
    got = float_step(f"fcvt.{name}.{letter} a0, fa1, {mode}", letter, patterns, "a0")
    assert got == unsigned(64, twos(bits, whole))


@pytest.mark.parametrize("name", TO_INTEGER)
@settings(INSTRUCTIONS, max_examples=60)
@given(value=integers, letter=letters, mode=st.sampled_from(MODES))
def test_conversion_from_integers_rounds_once(name, value, letter, mode):
    bits = 32 if name[0] == "w" else 64
    whole = unsigned(bits, value) if name.endswith("u") else twos(bits, value)
    got = stepped(f"fcvt.{letter}.{name} fa0, a1, {mode}", 64, {A1: unsigned(64, value)})
    expected = pattern_of(letter, between_neighbours(letter, Fraction(whole), mode))
    assert got.registers[NUMBERS["fa0"]] == boxed(letter, expected)


@settings(INSTRUCTIONS, max_examples=60)
@given(case=operands(1))
def test_conversion_between_formats_and_moves_of_bits(case):
    letter, (pattern,) = case
    other = "d" if letter == "s" else "s"
    with np.errstate(all="ignore"):
        expected = pattern_of(other, numpy_values(letter, [pattern])[0].astype(FORMS[other][0]))
    assert float_step(f"fcvt.{other}.{letter} fa0, fa1", letter, [pattern]) == boxed(
        other, expected
    )
    size = "w" if letter == "s" else "d"
    out = float_step(f"fmv.x.{size} a0, fa1", letter, [pattern], "a0")
    assert out == unsigned(64, twos(32 if letter == "s" else 64, pattern))
    back = stepped(f"fmv.{size}.x fa0, a1", 64, {A1: pattern}).registers[NUMBERS["fa0"]]
    assert back == boxed(letter, pattern)


@settings(INSTRUCTIONS, max_examples=60)
@given(pattern=st.integers(0, 2**64 - 1))
def test_what_is_no_boxed_single_reads_as_a_nan_but_stores_as_it_is(pattern):
    got = stepped("fadd.s fa0, fa1, fa2", 64, {FA1: pattern, FA2: boxed("s", 0)})
    if pattern >> 32 != 0xFFFF_FFFF:
        assert got.registers[NUMBERS["fa0"]] == boxed("s", 0x7FC0_0000)
    for name, size in (("fsw", 4), ("fsd", 8)):
        machine = stepped(f"{name} fa1, 0(a1)", 64, {FA1: pattern, A1: DATA})
        assert machine.memory.dump(DATA, size) == pattern.to_bytes(8, "little")[:size]
    for name, size in (("flw", 4), ("fld", 8)):
        machine = Machine(program(f"{name} fa0, 0(a1)", 64))
        machine.memory.fill(DATA, pattern.to_bytes(8, "little"))
        machine.address, machine.registers[A1] = 4, DATA
        machine.step()
        expected = boxed("s", pattern % 2**32) if size == 4 else pattern
        assert machine.registers[NUMBERS["fa0"]] == expected


@settings(INSTRUCTIONS)
@given(old=st.integers(0, 2**32 - 1), value=st.integers(0, 2**32 - 1))
def test_control_registers_are_swapped_set_and_cleared(old, value):
    expected = {"csrrw": value, "csrrs": old | value, "csrrc": old & ~value}
    for name, new in expected.items():
        machine = Machine(assemble(f"csrw mstatus, a2\n{name} a0, mstatus, a1\ncsrr a3, mstatus"))
        machine.registers[A1], machine.registers[A2] = value, old
        for _ in range(3):
            machine.step()
        assert machine.registers[NUMBERS["a0"]] == old
        assert machine.registers[NUMBERS["a3"]] == new


def test_no_instruction_is_without_a_model():
    tested = {*SIGNED, *(f"{w}w" for w in WORDS), *IMMEDIATES, *SHIFTS, *BRANCHES, *LOADS, *STORES}
    tested |= {f"{name}w" for name in SHIFTS} | {"addiw", "lui", "auipc", "jal", "jalr"}
    tested |= {f"amo{name}.{size}" for name in ATOMICS for size in "wd"}
    plain = (
        *ARITHMETIC,
        *FUSED,
        *COMPARISONS,
        "fsqrt",
        "fmin",
        "fmax",
        "fsgnj",
        "fsgnjn",
        "fsgnjx",
    )
    tested |= {f"{name}.{letter}" for name in (*plain, "fclass") for letter in "sd"}
    tested |= {f"fcvt.{name}.{letter}" for name in TO_INTEGER for letter in "sd"}
    tested |= {f"fcvt.{letter}.{name}" for name in TO_INTEGER for letter in "sd"}
    tested |= {"fcvt.s.d", "fcvt.d.s", "fmv.x.w", "fmv.w.x", "fmv.x.d", "fmv.d.x"}
    tested |= {"flw", "fld", "fsw", "fsd", "csrrw", "csrrs", "csrrc"}
    without_values = {"fence", "ecall", "ebreak"}  # in the machine's tests
    assert set(OPERATIONS) == tested | without_values
