"""The vector instructions as a table.

Source: The RISC-V "V" Vector Extension, version 1.0, sections 6, 7, 10 to 16 and 19.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.vector.operation import Addressing, Form, VectorOperation

_SUFFIXES = {"v": "VvwM", "x": "VvsM", "i": "VvqM", "u": "VvzM", "f": "VvSM"}
"""Operands by the last letter of the suffix; `u` is an unsigned immediate, written `i`."""
_ADDING = {"v": "VwvM", "x": "VsvM", "f": "VSvM"}
"""Multiply-adds name the multiplier first."""

Rows = dict[str, VectorOperation]
_NARROW_SOURCES = (1, 0, 0)
"""Widths of what makes wide results."""


def _forms(
    name: str,
    suffixes: str,
    does: str,
    *,
    form: Form = Form.ELEMENTWISE,
    like: Kind = Kind.ALU,
    widths: tuple[int, int, int] = (0, 0, 0),
    signed: tuple[bool, bool] = (True, True),
    floating: tuple[bool, bool] = (False, False),
    operands: Mapping[str, str] = _SUFFIXES,
) -> Rows:
    """Make a row for each suffix; a first letter `w` says that vs2 is wide."""
    first = "w" if widths[1] == 1 else "v"
    return {
        f"{name}.{first}{'i' if last == 'u' else last}": VectorOperation(
            form=form,
            operands=operands[last],
            does=does,
            like=like,
            widths=widths,
            signed=signed,
            floating=floating,
        )
        for last in suffixes
    }


def _integer_rows() -> Rows:
    rows: Rows = {}
    for name in ("add", "and", "or", "xor"):
        rows |= _forms(f"v{name}", "vxi", name)
    rows |= _forms("vsub", "vx", "sub") | _forms("vrsub", "xi", "rsub")
    for name in ("sll", "srl", "sra"):
        rows |= _forms(f"v{name}", "vxu", name)
    for name in ("min", "minu", "max", "maxu"):
        rows |= _forms(f"v{name}", "vx", name)
    for name in ("mul", "mulh", "mulhu", "mulhsu"):
        rows |= _forms(f"v{name}", "vx", name, like=Kind.MULTIPLY)
    for name in ("div", "divu", "rem", "remu"):
        rows |= _forms(f"v{name}", "vx", name, like=Kind.DIVIDE)
    for name in ("macc", "nmsac", "madd", "nmsub"):
        rows |= _forms(f"v{name}", "vx", name, like=Kind.MULTIPLY, operands=_ADDING)
    rows |= _forms("vnsrl", "vxu", "srl", widths=(0, 1, 0), signed=(False, False))
    rows |= _forms("vnsra", "vxu", "sra", widths=(0, 1, 0), signed=(True, False))
    for power, words in ((1, "vf2"), (2, "vf4"), (3, "vf8")):
        for letter in "zs":
            rows[f"v{letter}ext.{words}"] = VectorOperation(
                form=Form.ELEMENTWISE,
                operands="VvM",
                does="first",
                widths=(0, -power, 0),
                signed=(letter == "s", True),
            )
    return rows


def _widening_rows() -> Rows:
    rows: Rows = {}
    for name in ("add", "sub"):
        for suffix, plain in (("", True), ("u", False)):
            signs = (plain, plain)
            for widths in (_NARROW_SOURCES, (1, 1, 0)):
                rows |= _forms(f"vw{name}{suffix}", "vx", name, widths=widths, signed=signs)
    for suffix, signs in (("", (True, True)), ("u", (False, False)), ("su", (True, False))):
        rows |= _forms(
            f"vwmul{suffix}",
            "vx",
            "mul",
            like=Kind.MULTIPLY,
            widths=_NARROW_SOURCES,
            signed=signs,
        )
    adding = (
        ("", "vx", (True, True)),
        ("u", "vx", (False, False)),
        ("su", "vx", (False, True)),  # the multiplier, vs1, is the signed one
        ("us", "x", (True, False)),
    )
    for suffix, forms, signs in adding:
        rows |= _forms(
            f"vwmacc{suffix}",
            forms,
            "macc",
            like=Kind.MULTIPLY,
            widths=_NARROW_SOURCES,
            signed=signs,
            operands=_ADDING,
        )
    return rows


def _compare_rows() -> Rows:
    rows: Rows = {}
    integers = {"eq": "vxi", "ne": "vxi", "ltu": "vx", "lt": "vx", "leu": "vxi", "le": "vxi"}
    for name, suffixes in (integers | {"gtu": "xi", "gt": "xi"}).items():
        rows |= _forms(f"vms{name}", suffixes, name, form=Form.COMPARE)
    floats = {"eq": "vf", "ne": "vf", "lt": "vf", "le": "vf", "gt": "f", "ge": "f"}
    for name, suffixes in floats.items():
        rows |= _forms(
            f"vmf{name}",
            suffixes,
            f"f{name}",
            form=Form.COMPARE,
            like=Kind.FLOAT,
            floating=(False, True),
        )
    return rows


def _float_rows() -> Rows:
    rows: Rows = {}
    add, times, slow, both = Kind.FLOAT, Kind.FLOAT_MULTIPLY, Kind.FLOAT_DIVIDE, (True, True)
    for name in ("fadd", "fsub", "fmin", "fmax", "fsgnj", "fsgnjn", "fsgnjx"):
        rows |= _forms(f"v{name}", "vf", name, like=add, floating=both)
    rows |= _forms("vfrsub", "f", "frsub", like=add, floating=both)
    rows |= _forms("vfmul", "vf", "fmul", like=times, floating=both)
    rows |= _forms("vfdiv", "vf", "fdiv", like=slow, floating=both)
    rows |= _forms("vfrdiv", "f", "frdiv", like=slow, floating=both)
    for sign in ("fm", "fnm"):
        for name in ("acc", "sac", "add", "sub"):
            does = f"{sign}{name}"
            rows |= _forms(f"v{does}", "vf", does, like=times, floating=both, operands=_ADDING)
    for name in ("fadd", "fsub"):
        for widths in (_NARROW_SOURCES, (1, 1, 0)):
            rows |= _forms(f"vfw{name[1:]}", "vf", name, like=add, widths=widths, floating=both)
    wide = partial(_forms, like=times, widths=_NARROW_SOURCES, floating=both)
    rows |= wide("vfwmul", "vf", "fmul")
    for does in ("fmacc", "fnmacc", "fmsac", "fnmsac"):
        rows |= wide(f"vfw{does[1:]}", "vf", does, operands=_ADDING)
    for name, kind in (("fsqrt", slow), ("fclass", add)):
        rows[f"v{name}.v"] = VectorOperation(
            form=Form.ELEMENTWISE,
            operands="VvM",
            does=name,
            like=kind,
            floating=(True, True),
        )
    return rows


def _convert_rows() -> Rows:
    rows: Rows = {}
    shapes = (
        ("vfcvt", "v", (0, 0, 0)),
        ("vfwcvt", "v", _NARROW_SOURCES),
        ("vfncvt", "w", (0, 1, 0)),
    )
    whole = {"x": "x.f", "xu": "xu.f", "rtz.x": "rtz.x.f", "rtz.xu": "rtz.xu.f"}
    kinds = dict.fromkeys(whole.values(), (False, True))
    kinds |= {"f.x": (True, False), "f.xu": (True, False), "f.f": (True, True)}
    for name, last, widths in shapes:
        for does, floating in kinds.items():
            if does == "f.f" and name == "vfcvt":
                continue
            rows[f"{name}.{does}.{last}"] = VectorOperation(
                form=Form.CONVERT,
                operands="VvM",
                does=does,
                like=Kind.FLOAT,
                widths=widths,
                floating=floating,
            )
    return rows


def _reduction_rows() -> Rows:
    integers = {"sum": "add", "and": "and", "or": "or", "xor": "xor"}
    integers |= {name: name for name in ("min", "minu", "max", "maxu")}
    floats = {"usum": "fadd", "osum": "fadd", "min": "fmin", "max": "fmax"}
    rows = {
        f"vred{name}.vs": VectorOperation(form=Form.REDUCE, operands="VvwM", does=does)
        for name, does in integers.items()
    }
    for name, does in floats.items():
        rows[f"vfred{name}.vs"] = VectorOperation(
            form=Form.REDUCE,
            operands="VvwM",
            does=does,
            like=Kind.FLOAT,
            floating=(True, True),
        )
    return rows


def _mask_rows() -> Rows:
    names = ("and", "nand", "andn", "xor", "or", "nor", "orn", "xnor")
    return {
        f"vm{name}.mm": VectorOperation(form=Form.MASK, operands="Vvw", does=name) for name in names
    } | {
        "vcpop.m": VectorOperation(form=Form.COUNT, operands="dvM"),
        "vfirst.m": VectorOperation(form=Form.FIRST, operands="dvM"),
        "vid.v": VectorOperation(form=Form.INDEX, operands="VM"),
    }


def _moving_rows() -> Rows:
    rows: Rows = {}
    both = (True, True)
    for form, name in ((Form.SLIDE_UP, "vslideup"), (Form.SLIDE_DOWN, "vslidedown")):
        rows |= _forms(name, "xu", "", form=form)
    for form, name in ((Form.SLIDE_ONE_UP, "slide1up"), (Form.SLIDE_ONE_DOWN, "slide1down")):
        rows |= _forms(f"v{name}", "x", "", form=form)
        rows |= _forms(f"vf{name}", "f", "", form=form, floating=both)
    rows |= _forms("vrgather", "vxu", "", form=Form.GATHER)
    merging = {"v": "Vvwn", "x": "Vvsn", "i": "Vvqn"}
    for last, operands in merging.items():
        rows[f"vmerge.v{last}m"] = VectorOperation(form=Form.MERGE, operands=operands)
    rows["vfmerge.vfm"] = VectorOperation(form=Form.MERGE, operands="VvSn", floating=both)
    for last, operands in {"v": "Vw", "x": "Vs", "i": "Vq"}.items():
        rows[f"vmv.v.{last}"] = VectorOperation(
            form=Form.ELEMENTWISE, operands=operands, does="second"
        )
    rows["vfmv.v.f"] = VectorOperation(
        form=Form.ELEMENTWISE, operands="VS", does="second", floating=both
    )
    rows["vmv.x.s"] = VectorOperation(form=Form.TO_SCALAR, operands="dv")
    rows["vmv.s.x"] = VectorOperation(form=Form.FROM_SCALAR, operands="Vs")
    rows["vfmv.f.s"] = VectorOperation(form=Form.TO_SCALAR, operands="Dv", floating=both)
    rows["vfmv.s.f"] = VectorOperation(form=Form.FROM_SCALAR, operands="VS", floating=both)
    for count in (1, 2, 4, 8):
        rows[f"vmv{count}r.v"] = VectorOperation(
            form=Form.COPY, operands="Vv", whole_registers=count
        )
    return rows


def _access_pairs(
    names: Iterable[tuple[str, str]], addressing: Addressing, bits: int, rest: str, mask: str = "M"
) -> Rows:
    rows: Rows = {}
    for load, store in names:
        for name, form, like, first in (
            (load, Form.LOAD, Kind.LOAD, "V"),
            (store, Form.STORE, Kind.STORE, "W"),
        ):
            rows[name] = VectorOperation(
                form=form,
                operands=first + rest + mask,
                like=like,
                addressing=addressing,
                element_bits=bits,
            )
    return rows


def _memory_rows() -> Rows:
    rows: Rows = {}
    for bits in (8, 16, 32, 64):
        rows |= _access_pairs([(f"vle{bits}.v", f"vse{bits}.v")], Addressing.UNIT, bits, "a")
        rows |= _access_pairs([(f"vlse{bits}.v", f"vsse{bits}.v")], Addressing.STRIDED, bits, "as")
        indexed = [(f"vl{o}xei{bits}.v", f"vs{o}xei{bits}.v") for o in "uo"]
        rows |= _access_pairs(indexed, Addressing.INDEXED, bits, "av")
    rows |= _access_pairs([("vlm.v", "vsm.v")], Addressing.MASK, 8, "a", "")
    for count in (1, 2, 4, 8):
        names = {f"vl{count}r.v": 8, f"vs{count}r.v": 8}
        names |= {f"vl{count}re{bits}.v": bits for bits in (8, 16, 32, 64)}
        for name, bits in names.items():
            load = name.startswith("vl")
            rows[name] = VectorOperation(
                form=Form.LOAD if load else Form.STORE,
                operands="Va" if load else "Wa",
                like=Kind.LOAD if load else Kind.STORE,
                addressing=Addressing.WHOLE,
                element_bits=bits,
                whole_registers=count,
            )
    return rows


VECTOR_OPERATIONS: Mapping[str, VectorOperation] = {
    "vsetvli": VectorOperation(form=Form.SET, operands="dst"),
    "vsetivli": VectorOperation(form=Form.SET, operands="dzt"),
    "vsetvl": VectorOperation(form=Form.SET, operands="dss"),
    **_integer_rows(),
    **_widening_rows(),
    **_compare_rows(),
    **_float_rows(),
    **_convert_rows(),
    **_reduction_rows(),
    **_mask_rows(),
    **_moving_rows(),
    **_memory_rows(),
}
"""Mnemonic to what it is."""
