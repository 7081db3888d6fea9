"""The vector unit: how many bundles an elementwise or row-wise operation takes.

A register holds sublanes x lanes elements of 32 bits. The last extent of a tensor is laid along the
lanes and padded to them, its rows along the sublanes and padded to those, so that a narrow or a
one-row tensor wastes most of a register, as it does on the chip.

Each cycle issues one VLIW bundle with a slot for every port and unit. The compiler fills them well,
so that an operation takes as long as its fullest slot, plus the results it has to wait for: the end
of each pass, and each reduction along a row, which must cross the lanes before the next pass can
begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.tpu.spec import REGISTER_ELEMENT_BYTES, CrossLaneSpec, Function, FunctionSpec, VectorSpec
from workloads.trace import DTYPE_BYTES, Family, Op, Tensor

FUNCTION_OF_KIND: Mapping[str, Function] = {
    "softmax": "exp",
    "sample": "exp",
    "silu": "exp",
    "swiglu": "exp",
    "sigmoid": "exp",
    "gelu": "tanh",
    "geglu": "tanh",
    "softcap": "tanh",
    "rmsnorm": "sqrt",
    "layernorm": "sqrt",
    "rope": "sin",
}
"""What an operation's transcendentals are; those of a kind not listed count as the dearest."""

LANE_MOVES: Mapping[str, int] = {"rope": 2, "transpose": 1}
"""Passes of every register through the cross-lane unit: the partner of each element of a rotary
pair comes from one side or the other; a transpose hands over each register once."""


def padded_registers(vector: VectorSpec, elements: int, cols: int) -> int:
    """Count the registers of `elements` laid out in rows of `cols`, both extents padded."""
    rows = -(-elements // cols)
    return -(-rows // vector.sublanes) * -(-cols // vector.lanes)


def stored_registers(vector: VectorSpec, elements: int, cols: int, element_bytes: int) -> int:
    """Count the registers as they lie in the scratchpad, several narrow rows to a sublane."""
    if element_bytes >= REGISTER_ELEMENT_BYTES:
        words = element_bytes // REGISTER_ELEMENT_BYTES
        return padded_registers(vector, elements, cols) * words
    packed = REGISTER_ELEMENT_BYTES // element_bytes
    rows = -(-elements // cols)
    return -(-rows // (vector.sublanes * packed)) * -(-cols // vector.lanes)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorWork:
    """One operation's needs of the vector unit, in whole registers."""

    loads: int
    stores: int
    arithmetic: int
    """Operations of the ALU slots, among them those that surround a transcendental."""
    special: int
    """Operations of the unit for transcendentals."""
    lane_moves: int
    """Registers through the cross-lane unit."""
    passes: int
    """Walks over the data of which each needs the result of the one before."""
    reductions: int
    """Times that a pass ends in a reduction along the lanes."""

    def slots(self, vector: VectorSpec) -> dict[str, int]:
        """Return the cycles for which each slot of the bundle is needed."""
        cross = vector.cross_lane
        return {
            "load": -(-self.loads // vector.loads_per_cycle),
            "store": -(-self.stores // vector.stores_per_cycle),
            "arithmetic": -(-self.arithmetic // vector.alus_per_lane),
            "special": -(-self.special // vector.special.count) * vector.special.interval_cycles,
            "cross-lane": -(-self.lane_moves // cross.count) * cross.interval_cycles
            if cross
            else 0,
        }

    def busy_cycles(self, vector: VectorSpec) -> int:
        """Cycles of the slot that is needed most."""
        return max(self.slots(vector).values())

    def limiting_slot(self, vector: VectorSpec) -> str:
        """Name of the slot that is needed most, the first of several."""
        slots = self.slots(vector)
        return max(slots, key=lambda name: slots[name])

    def latency_cycles(self, vector: VectorSpec) -> int:
        """Cycles until the last result of every pass is there."""
        waits = self.passes * vector.latency_cycles
        if self.special:
            waits += vector.special.latency_cycles
        cross = vector.cross_lane
        if cross and self.reductions:
            waits += self.reductions * _reduction_latency(vector, cross)
        elif cross and self.lane_moves:
            waits += cross.latency_cycles
        return waits


def reduction_steps(vector: VectorSpec, cross: CrossLaneSpec) -> int:
    """Trips through the cross-lane unit for one register's reduction along the lanes."""
    return 1 if cross.reduces else (vector.lanes - 1).bit_length()


def _reduction_latency(vector: VectorSpec, cross: CrossLaneSpec) -> int:
    added = 0 if cross.reduces else vector.latency_cycles
    return reduction_steps(vector, cross) * (cross.latency_cycles + added)


class VectorUnit:
    """Counts an operation's bundles by slot.

    Models: padding to lanes and sublanes; packing of narrow elements in the scratchpad, and the
    operations that widen and narrow them; load, store, ALU, special-function and cross-lane slots
    of a VLIW bundle, each saturated by the best schedule; functions at the length of their
    instruction sequence; reductions along lanes by the cross-lane unit or by log2(lanes) rotations
    and additions; the latency at the end of every pass and reduction.
    Ignores: register pressure; loop overhead and addresses on the scalar unit, which a bundle
    carries beside the vector slots; that some ALU slots take additions or multiplications only;
    division as more than one operation; arithmetic on 16-bit elements without widening them.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021; cycles and instruction counts: Pallas TPU kernel development tutorial,
    chapter 1, https://ayaka14732.github.io/pallas-tpu-tutorial/chapter01/.
    """

    def __init__(self, vector: VectorSpec, tensors: tuple[Tensor, ...]) -> None:
        self.vector = vector
        self._tensors = tensors

    def lacks(self, op: Op) -> str:
        """Say what the unit does not have that `op` needs; empty where it has all."""
        if self.vector.cross_lane is None and (op.family is Family.ROWWISE or _moves(op)):
            return "nothing moves data from lane to lane (vector.cross_lane)"
        if not op.transcendentals:
            return ""
        function = FUNCTION_OF_KIND.get(op.kind)
        if function is None:
            return "" if self.vector.functions else "it has no transcendental functions"
        if function not in self.vector.functions:
            return f"its vector unit has no '{function}' (vector.functions)"
        return ""

    def work(self, op: Op) -> VectorWork:
        """Return the slots that an operation outside the arrays needs."""
        elements, cols = self._extents(op)
        registers = padded_registers(self.vector, elements, cols)
        passes = op.dims["passes"] if op.family is Family.ROWWISE else 1
        loads = stores = converted = 0
        for position, access in enumerate(op.reads):
            in_scratchpad, widened = self._moved(access.tensor, access.bytes, cols)
            walks = passes if position == 0 else 1
            loads += walks * in_scratchpad
            converted += walks * widened
        for access in op.writes:
            in_scratchpad, narrowed = self._moved(access.tensor, access.bytes, cols)
            stores += in_scratchpad
            converted += in_scratchpad if narrowed else 0
        if op.family is Family.COPY and not _moves(op):
            converted = 0  # moves registers as they are
        function, times = self._function(op, registers, elements)
        moves, added, reductions = self._crossings(op, registers)
        return VectorWork(
            loads=loads,
            stores=stores,
            arithmetic=-(-op.flops * registers // elements)
            + function.operations * times
            + converted
            + added,
            special=function.special * times,
            lane_moves=moves,
            passes=passes,
            reductions=reductions,
        )

    def columns(self, op: Op) -> int:
        """Extent along the lanes: a row's, or the last one of what is written."""
        return self._extents(op)[1]

    def _moved(self, tensor: int, touched_bytes: int, cols: int) -> tuple[int, int]:
        """Return registers in the scratchpad, and operations to widen them to 32 bits."""
        element_bytes = DTYPE_BYTES[self._tensors[tensor].dtype]
        held = touched_bytes // element_bytes
        along = min(cols, max(held, 1))
        stored = stored_registers(self.vector, held, along, element_bytes)
        if element_bytes >= REGISTER_ELEMENT_BYTES:
            return stored, 0
        return stored, padded_registers(self.vector, held, along)

    def _function(self, op: Op, registers: int, elements: int) -> tuple[FunctionSpec, int]:
        """Cost of one register of the operation's function, and how many registers."""
        count = op.transcendentals
        if not count:
            return FunctionSpec(operations=1, special=0), 0
        known = self.vector.functions
        if op.kind in FUNCTION_OF_KIND:
            cost = known[FUNCTION_OF_KIND[op.kind]]
        else:
            cost = max(known.values(), key=lambda spec: (spec.operations, spec.special))
        if op.family is Family.ROWWISE and count <= op.dims["rows"]:
            # one a row: after the reduction a row's value fills its sublane
            return cost, -(-count // self.vector.sublanes)
        return cost, -(-count * registers // elements)

    def _crossings(self, op: Op, registers: int) -> tuple[int, int, int]:
        """Cross-lane operations, arithmetic between them, and reductions one after another."""
        cross = self.vector.cross_lane
        if cross is None:
            return 0, 0, 0
        if op.family is not Family.ROWWISE:
            return _moves(op) * registers, 0, 0
        # The last pass maps; each pass before it reduces, as does a pass that is the only one.
        reductions = max(1, op.dims["passes"] - 1)
        groups = -(-op.dims["rows"] // self.vector.sublanes)
        moves = reductions * groups * reduction_steps(self.vector, cross)
        return moves, 0 if cross.reduces else moves, reductions

    def _extents(self, op: Op) -> tuple[int, int]:
        if op.family is Family.ROWWISE:
            return op.dims["rows"] * op.dims["cols"], op.dims["cols"]
        elements = op.dims["elements"]
        shape = self._tensors[op.writes[0].tensor].shape
        return elements, min(shape[-1] if shape else 1, elements)


def _moves(op: Op) -> int:
    return LANE_MOVES.get(op.kind, 0)
