"""Vector pseudo-instructions: what the assembler writes in their place.

Source: The RISC-V "V" Vector Extension, version 1.0, sections 11, 13 and 15.
"""

from __future__ import annotations

from collections.abc import Mapping

_MASKABLE: Mapping[tuple[str, int], str] = {
    ("vneg.v", 2): "vrsub.vx {0}, {1}, x0",
    ("vnot.v", 2): "vxor.vi {0}, {1}, -1",
    ("vfneg.v", 2): "vfsgnjn.vv {0}, {1}, {1}",
    ("vfabs.v", 2): "vfsgnjx.vv {0}, {1}, {1}",
    ("vwcvt.x.x.v", 2): "vwadd.vx {0}, {1}, x0",
    ("vwcvtu.x.x.v", 2): "vwaddu.vx {0}, {1}, x0",
    ("vncvt.x.x.w", 2): "vnsrl.wx {0}, {1}, x0",
    ("vmsgt.vv", 3): "vmslt.vv {0}, {2}, {1}",
    ("vmsgtu.vv", 3): "vmsltu.vv {0}, {2}, {1}",
    ("vmsge.vv", 3): "vmsle.vv {0}, {2}, {1}",
    ("vmsgeu.vv", 3): "vmsleu.vv {0}, {2}, {1}",
    ("vmfgt.vv", 3): "vmflt.vv {0}, {2}, {1}",
    ("vmfge.vv", 3): "vmfle.vv {0}, {2}, {1}",
    ("vmslt.vi", 3): "vmsle.vi {0}, {1}, {2} - 1",
    ("vmsge.vi", 3): "vmsgt.vi {0}, {1}, {2} - 1",
}
_ON_MASKS: Mapping[tuple[str, int], str] = {
    ("vmmv.m", 2): "vmand.mm {0}, {1}, {1}",
    ("vmnot.m", 2): "vmnand.mm {0}, {1}, {1}",
    ("vmclr.m", 1): "vmxor.mm {0}, {0}, {0}",
    ("vmset.m", 1): "vmxnor.mm {0}, {0}, {0}",
}
VECTOR_TEMPLATES: Mapping[tuple[str, int], tuple[str, ...]] = {
    **{form: (text,) for form, text in (*_MASKABLE.items(), *_ON_MASKS.items())},
    **{(name, count + 1): (f"{text}, {{{count}}}",) for (name, count), text in _MASKABLE.items()},
}
"""By mnemonic and number of operands; the mask is one more operand."""
