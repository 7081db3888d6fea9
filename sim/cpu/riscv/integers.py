"""The integer instructions as a table: RV32IM and RV64IM, atomics, control registers.

Register values are unsigned numbers of xlen bits.
Source: The RISC-V Instruction Set Manual, Volume I, version 20240411, chapters 2, 4, 7, 13, 14.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.cpu.riscv.operation import Function, Kind, Operation

WORD = 32


def wrap(bits: int, value: int) -> int:
    """Return a number's lowest bits, as an unsigned number."""
    return value & ((1 << bits) - 1)


def signed(bits: int, value: int) -> int:
    """Return the two's complement number that a number's lowest bits are."""
    low = value & ((1 << bits) - 1)
    return low - ((low >> (bits - 1)) << bits)


def extend(xlen: int, bits: int, value: int) -> int:
    """Sign-extend the lowest bits to a register."""
    return wrap(xlen, signed(bits, value))


def divide(xlen: int, a: int, b: int) -> int:
    """Divide signed, towards zero; by zero gives -1, and overflow the dividend."""
    dividend, divisor = signed(xlen, a), signed(xlen, b)
    if divisor == 0:
        return wrap(xlen, -1)
    quotient = abs(dividend) // abs(divisor)
    return wrap(xlen, -quotient if (dividend < 0) != (divisor < 0) else quotient)


def divide_unsigned(xlen: int, a: int, b: int) -> int:
    """Divide; by zero gives all ones."""
    return wrap(xlen, a) // wrap(xlen, b) if wrap(xlen, b) else wrap(xlen, -1)


def remainder(xlen: int, a: int, b: int) -> int:
    """Return what signed division leaves, with the dividend's sign; by zero, the dividend."""
    dividend, divisor = signed(xlen, a), signed(xlen, b)
    if divisor == 0:
        return wrap(xlen, a)
    rest = abs(dividend) % abs(divisor)
    return wrap(xlen, -rest if dividend < 0 else rest)


def remainder_unsigned(xlen: int, a: int, b: int) -> int:
    """Return what division leaves; by zero, the dividend."""
    return wrap(xlen, a) % wrap(xlen, b) if wrap(xlen, b) else wrap(xlen, a)


def _shift(xlen: int, amount: int) -> int:
    return amount & (xlen - 1)


ARITHMETIC: Mapping[str, Function] = {
    "add": lambda n, a, b: wrap(n, a + b),
    "sub": lambda n, a, b: wrap(n, a - b),
    "and": lambda n, a, b: wrap(n, a & b),
    "or": lambda n, a, b: wrap(n, a | b),
    "xor": lambda n, a, b: wrap(n, a ^ b),
    "slt": lambda n, a, b: int(signed(n, a) < signed(n, b)),
    "sltu": lambda n, a, b: int(wrap(n, a) < wrap(n, b)),
    "sll": lambda n, a, b: wrap(n, a << _shift(n, b)),
    "srl": lambda n, a, b: wrap(n, a) >> _shift(n, b),
    "sra": lambda n, a, b: wrap(n, signed(n, a) >> _shift(n, b)),
}
MULTIPLICATION: Mapping[str, Function] = {
    "mul": lambda n, a, b: wrap(n, a * b),
    "mulh": lambda n, a, b: wrap(n, (signed(n, a) * signed(n, b)) >> n),
    "mulhsu": lambda n, a, b: wrap(n, (signed(n, a) * b) >> n),
    "mulhu": lambda n, a, b: wrap(n, (a * b) >> n),
}
DIVISION: Mapping[str, Function] = {
    "div": divide,
    "divu": divide_unsigned,
    "rem": remainder,
    "remu": remainder_unsigned,
}
CONDITIONS: Mapping[str, Function] = {
    "beq": lambda n, a, b: int(wrap(n, a) == wrap(n, b)),
    "bne": lambda n, a, b: int(wrap(n, a) != wrap(n, b)),
    "blt": lambda n, a, b: int(signed(n, a) < signed(n, b)),
    "bge": lambda n, a, b: int(signed(n, a) >= signed(n, b)),
    "bltu": lambda n, a, b: int(wrap(n, a) < wrap(n, b)),
    "bgeu": lambda n, a, b: int(wrap(n, a) >= wrap(n, b)),
}
ATOMICS: Mapping[str, Function] = {
    "swap": lambda n, old, b: wrap(n, b),  # noqa: ARG005 - the old value is lost
    "add": lambda n, old, b: wrap(n, old + b),
    "xor": lambda n, old, b: wrap(n, old ^ b),
    "and": lambda n, old, b: wrap(n, old & b),
    "or": lambda n, old, b: wrap(n, old | b),
    "min": lambda n, old, b: wrap(n, min(signed(n, old), signed(n, b))),
    "max": lambda n, old, b: wrap(n, max(signed(n, old), signed(n, b))),
    "minu": lambda n, old, b: min(wrap(n, old), wrap(n, b)),
    "maxu": lambda n, old, b: max(wrap(n, old), wrap(n, b)),
}


def _on_words(function: Function) -> Function:
    """Make of an operation its `w` form: on the lower 32 bits, sign-extended."""
    return lambda n, a, b: extend(n, WORD, function(WORD, wrap(WORD, a), wrap(WORD, b)))


def _loads(bits: int) -> Function:
    return lambda n, raw: extend(n, bits, raw)


def _stores(bits: int) -> Function:
    return lambda n, value: wrap(bits, value)  # noqa: ARG005 - stores do not depend on xlen


def _register_forms() -> dict[str, Operation]:
    kinds = ((Kind.ALU, ARITHMETIC), (Kind.MULTIPLY, MULTIPLICATION), (Kind.DIVIDE, DIVISION))
    table = {
        name: Operation(kind=kind, operands="dss", function=function)
        for kind, functions in kinds
        for name, function in functions.items()
    }
    for name in ("add", "sub", "sll", "srl", "sra", "mul", "div", "divu", "rem", "remu"):
        table[f"{name}w"] = Operation(
            kind=table[name].kind,
            operands="dss",
            function=_on_words(table[name].function),
            only_rv64=True,
        )
    return table


def _immediate_forms() -> dict[str, Operation]:
    named = {"addi": "add", "andi": "and", "ori": "or", "xori": "xor", "slti": "slt"}
    named |= {"sltiu": "sltu", "slli": "sll", "srli": "srl", "srai": "sra"}
    table: dict[str, Operation] = {}
    for name, function in named.items():
        operands = "dsh" if function in ("sll", "srl", "sra") else "dsi"
        plain = ARITHMETIC[function]
        table[name] = Operation(kind=Kind.ALU, operands=operands, function=plain)
        if function in ("add", "sll", "srl", "sra"):
            table[f"{name}w"] = Operation(
                kind=Kind.ALU, operands=operands, function=_on_words(plain), only_rv64=True
            )
    return table


def _memory_forms() -> dict[str, Operation]:
    table: dict[str, Operation] = {}
    for letter, size in (("b", 1), ("h", 2), ("w", 4), ("d", 8)):
        bits, wide = 8 * size, size == 8
        table[f"l{letter}"] = Operation(
            kind=Kind.LOAD, operands="dm", function=_loads(bits), bytes=size, only_rv64=wide
        )
        table[f"s{letter}"] = Operation(
            kind=Kind.STORE, operands="sm", function=_stores(bits), bytes=size, only_rv64=wide
        )
        if not wide:
            table[f"l{letter}u"] = Operation(
                kind=Kind.LOAD,
                operands="dm",
                function=_stores(bits),
                bytes=size,
                only_rv64=letter == "w",
            )
        if size >= 4:
            for name, function in ATOMICS.items():
                table[f"amo{name}.{letter}"] = Operation(
                    kind=Kind.ATOMIC,
                    operands="dsa",
                    function=function,
                    bytes=size,
                    only_rv64=wide,
                )
    return table


_OTHERS: Mapping[str, Operation] = {
    "lui": Operation(kind=Kind.UPPER, operands="du", function=lambda n, i: extend(n, 32, i << 12)),
    "auipc": Operation(
        kind=Kind.UPPER,
        operands="du",
        function=lambda n, i, address: wrap(n, address + signed(32, i << 12)),
    ),
    **{
        name: Operation(kind=Kind.BRANCH, operands="ssb", function=function)
        for name, function in CONDITIONS.items()
    },
    "jal": Operation(kind=Kind.JUMP, operands="dj"),
    "jalr": Operation(
        kind=Kind.INDIRECT, operands="dm", function=lambda n, a, i: wrap(n, a + i) & ~1
    ),
    "csrrw": Operation(
        kind=Kind.CONTROL_REGISTER,
        operands="dcs",
        function=lambda n, old, a: wrap(n, a),  # noqa: ARG005 - the old value is lost
    ),
    "csrrs": Operation(
        kind=Kind.CONTROL_REGISTER, operands="dcs", function=lambda n, old, a: wrap(n, old | a)
    ),
    "csrrc": Operation(
        kind=Kind.CONTROL_REGISTER, operands="dcs", function=lambda n, old, a: wrap(n, old & ~a)
    ),
    "fence": Operation(kind=Kind.FENCE, operands=""),
    "ecall": Operation(kind=Kind.ENVIRONMENT, operands=""),
    "ebreak": Operation(kind=Kind.ENVIRONMENT, operands=""),
}

INTEGER_OPERATIONS: Mapping[str, Operation] = {
    **_register_forms(),
    **_immediate_forms(),
    **_memory_forms(),
    **_OTHERS,
}
