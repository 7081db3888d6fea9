"""Numbers of 16 bits in memory: widened to float32 where they are loaded, narrowed where stored.

Models: the conversion instructions of each instruction set; where there is none from float32 to
bfloat16, its rounding to the nearest even number in integers.
Ignores: values; that such rounding would turn some NaN into infinity, which takes two more
instructions; half-precision arithmetic (AVX512-FP16, FEAT_FP16), which no packaged kernel uses.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 (VCVTPH2PS,
VCVTPS2PH, VPMOVZX, VCVTNEPS2BF16); Arm Architecture Reference Manual, DDI 0487 (FCVTL, FCVTN,
SHLL, UZP2); Intel, BFLOAT16 Hardware Numerics Definition, 338302, 2018.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sim.cpu.kernelcores import KernelError

FLOAT32, FLOAT16, BFLOAT16 = "float32", "float16", "bfloat16"
ELEMENT_BYTES: Mapping[str, int] = {FLOAT32: 4, FLOAT16: 2, BFLOAT16: 2}
"""Of a stored number, by dtype: all that these kernels read and write."""
NATIVE_BFLOAT16 = "avx512_bf16"
"""Extension that rounds to bfloat16 and multiplies pairs of them."""
ONE, HALF_ULP = 28, 29
"""NEON registers of the two constants that round to bfloat16."""
_X86_LETTER = {128: "x", 256: "y", 512: "z"}
_X86_HALF = {128: ("x", "qword"), 256: ("x", "xmmword"), 512: ("y", "ymmword")}
_LOAD = re.compile(r"^\s*(?P<name>\w+)\s+(?P<rest>.*)\[(?P<base>\w+)(?P<offset>[^\]]*)\]")


def widened_load(
    isa: str, register: int, place: tuple[str, int], bits: int, dtype: str
) -> list[str]:
    """Return lines that load half as many bytes as a register has, as float32.

    `place` is a base register and an offset in bytes. Raises KernelError where an instruction set
    has no such load.
    """
    if isa == "x86_64":
        return _x86_widen(register, place, bits, dtype)
    if isa == "aarch64":
        return _neon_widen(register, place, dtype)
    raise _scalar(isa, dtype)


def narrowed_store(
    isa: str, registers: tuple[int, int], place: tuple[str, int], bits: int, rounding: str
) -> list[str]:
    """Return lines that store a register of float32 as numbers of 16 bits.

    `registers`: what is stored, and one that is used up. `rounding`: the dtype, or
    `NATIVE_BFLOAT16` where one instruction does it. KernelError as in `widened_load`.
    """
    if isa == "x86_64":
        return _x86_narrow(registers, place, bits, rounding)
    if isa == "aarch64":
        return _neon_narrow(registers, place, rounding)
    raise _scalar(isa, rounding)


def _scalar(isa: str, dtype: str) -> KernelError:
    return KernelError(
        f"the packaged kernels of {isa} are scalar, and have no instruction that converts "
        f"{dtype} (Zfh, Zfbfmin); take float32"
    )


def _x86_widen(register: int, place: tuple[str, int], bits: int, dtype: str) -> list[str]:
    name, (base, offset) = f"{_X86_LETTER[bits]}mm{register}", place
    where = f"{_X86_HALF[bits][1]} ptr [{base}+{offset}]"
    if dtype == FLOAT16:
        return [f"vcvtph2ps {name}, {where}"]
    return [f"vpmovzxwd {name}, {where}", f"vpslld {name}, {name}, 16"]


def _x86_narrow(
    registers: tuple[int, int], place: tuple[str, int], bits: int, rounding: str
) -> list[str]:
    source, spare = (f"{_X86_LETTER[bits]}mm{number}" for number in registers)
    letter, size = _X86_HALF[bits]
    half, (base, offset) = f"{letter}mm{registers[1]}", place
    move = "vmovq" if size == "qword" else "vmovups"
    store = f"{move} {size} ptr [{base}+{offset}], {half}"
    if rounding == FLOAT16:
        return [f"vcvtps2ph {half}, {source}, 0", store]
    if rounding == NATIVE_BFLOAT16:
        return [f"vcvtneps2bf16 {half}, {source}", store]
    lowest = "vpandd" if bits == 512 else "vpand"
    lines = [
        f"vpsrld {spare}, {source}, 16",
        f"{lowest} {spare}, {spare}, [rbp]",  # the lowest bit that stays: ties go to even
        f"vpaddd {spare}, {spare}, [rbp+64]",  # half of the last place, less one
        f"vpaddd {spare}, {spare}, {source}",
        f"vpsrld {spare}, {spare}, 16",
    ]
    if bits == 512:
        return [*lines, f"vpmovdw {half}, {spare}", store]
    lines.append(f"vpackusdw {spare}, {spare}, {spare}")
    across = [f"vpermq {spare}, {spare}, 8"] if bits == 256 else []
    return [*lines, *across, store]


def _neon_widen(register: int, place: tuple[str, int], dtype: str) -> list[str]:
    base, offset = place
    load = f"ldr d{register}, [{base}, #{offset}]"
    if dtype == FLOAT16:
        return [load, f"fcvtl v{register}.4s, v{register}.4h"]
    return [load, f"shll v{register}.4s, v{register}.4h, #16"]


def _neon_narrow(registers: tuple[int, int], place: tuple[str, int], rounding: str) -> list[str]:
    (source, spare), (base, offset) = registers, place
    store = f"str d{spare}, [{base}, #{offset}]"
    if rounding == FLOAT16:
        return [f"fcvtn v{spare}.4h, v{source}.4s", store]
    return [
        f"ushr v{spare}.4s, v{source}.4s, #16",
        f"and v{spare}.16b, v{spare}.16b, v{ONE}.16b",
        f"add v{spare}.4s, v{spare}.4s, v{HALF_ULP}.4s",
        f"add v{spare}.4s, v{spare}.4s, v{source}.4s",
        f"uzp2 v{spare}.8h, v{spare}.8h, v{spare}.8h",  # the upper halves
        store,
    ]


def with_stored(lines: list[str], isa: str, panel: str, bits: int, dtype: str) -> list[str]:
    """Return a product's loop whose packed panel of B holds numbers of 16 bits.

    Its loads become widened ones, an operand in memory a register of its own (the last but one of
    the tile's), and the pointer's steps half as long.
    """
    result: list[str] = []
    for line in lines:
        code = line.partition("#" if isa == "x86_64" else "//")[0]
        match = _LOAD.match(code)
        if match is not None and match["base"] == panel:
            result += _widened_line(match, isa, bits, dtype)
        else:
            result.append(_half_step(code, panel))
    return result


def _widened_line(match: re.Match[str], isa: str, bits: int, dtype: str) -> list[str]:
    digits = re.search(r"\d+", match["offset"])
    place = match["base"], int(digits[0]) // 2 if digits else 0
    operands = [each.strip() for each in match["rest"].split(",") if each.strip()]
    target = re.search(r"\d+$", operands[0])
    assert target is not None  # noqa: S101 - a register has a number
    if len(operands) == 1:  # a plain load
        return widened_load(isa, int(target[0]), place, bits, dtype)
    used = 9 + int(target[0]) % 4  # a row's kernel leaves these free
    lines = widened_load(isa, used, place, bits, dtype)
    letter = operands[0][0]
    return [*lines, f"{match['name']} {', '.join(operands)}, {letter}mm{used}"]


def _half_step(code: str, panel: str) -> str:
    """Return a line with the panel pointer's step halved."""
    match = re.match(rf"^\s*add\s+{panel}, (?:{panel}, #)?(\d+)", code)
    if match is None:
        return code
    return code[: match.start(1)] + str(int(match[1]) // 2)
