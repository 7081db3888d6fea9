"""What moves numbers in a graph: other shapes and contiguous parts are views and cost nothing.

All else is copied; a part of a tensor that is scattered counts the bytes that are taken.
"""

from __future__ import annotations

from math import prod

from workloads.array import Array
from workloads.onnx_graph.node import Node, UnsupportedNodeError, rows_read
from workloads.trace import Family


def view(node: Node) -> Array:
    """Take the same numbers in another shape."""
    return node.view(0)


def cast(node: Node) -> Array:
    """Copy to another element type; to the same, a view."""
    x = node.array(0)
    return node.view(0) if x.dtype == node.result.dtype else node.copy("cast", (x,))


def expand(node: Node) -> Array:
    """Repeat along axes; where the shape stays, a view."""
    x = node.array(0)
    return node.view(0) if x.size == node.result.size else node.copy("expand", (x,))


def pad(node: Node) -> Array:
    """Copy into a larger tensor; what is cut off is not read."""
    x = node.array(0)
    return node.copy("pad", (rows_read(x, min(x.size, node.result.size), 1),))


def transpose(node: Node) -> Array:
    """Permute axes; where only axes of extent 1 change places, a view."""
    x = node.array(0)
    order = node.attributes.get("perm", range(len(x.shape))[::-1])
    moved = [axis for axis in order if x.shape[axis] > 1]
    return node.view(0) if moved == sorted(moved) else node.copy("transpose", (x,))


def concat(node: Node) -> Array:
    """Copy several tensors into one; of a single one, a view."""
    held = [at for at, value in enumerate(node.inputs) if value is not None and not value.immediate]
    if len(node.inputs) == 1:
        return node.view(0)
    return node.copy("concat", [node.array(at) for at in held])


def split(node: Node) -> tuple[Array, ...]:
    """Part along an axis: views where nothing lies before it, else a copy of each part."""
    x = node.array(0)
    axis = node.axis(len(x.shape), 0)
    parts = []
    offset = 0
    for number, part in enumerate(node.results):
        if prod(x.shape[:axis]) == 1:
            parts.append(node.view(0, offset_elements=offset, result=number))
        else:
            parts.append(node.copy("split", (rows_read(x, part.size, 1),), result=number))
        offset += part.size
    return tuple(parts)


def slice_(node: Node) -> Array:
    """Cut out a range of some axes: a view where what is cut lies in one piece."""
    x, result = node.array(0), node.result
    starts, steps = node.whole_numbers(1, "starts"), node.whole_numbers(4, "steps")
    if starts is None:
        raise UnsupportedNodeError("has no starts")
    axes = node.whole_numbers(3, "axes") or tuple(range(len(starts)))
    if result.size == x.size and all(step > 0 for step in steps or ()):
        return node.view(0)
    cut = [axis % len(x.shape) for axis in axes if x.shape[axis] != result.shape[axis]]
    plain = all(step == 1 for step in steps or ())
    if len(cut) == 1 and plain and prod(x.shape[: cut[0]]) == 1:
        at = [axis % len(x.shape) for axis in axes].index(cut[0])
        start = starts[at] + (x.shape[cut[0]] if starts[at] < 0 else 0)
        start = min(max(start, 0), x.shape[cut[0]])
        return node.view(0, offset_elements=start * prod(x.shape[cut[0] + 1 :]))
    return node.copy("slice", (rows_read(x, result.size, 1),))


def gather(node: Node) -> Array:
    """Copy the rows that indices name, as `ops.embedding` counts them.

    A single row known before the run, with nothing before its axis, is a view.
    """
    x, indices = node.array(0), node.operand(1)
    axis = node.axis(len(x.shape), 0)
    cols, before = prod(x.shape[axis + 1 :]), prod(x.shape[:axis])
    if indices.size == 1 and before == 1 and indices.numbers is not None:
        row = int(indices.numbers.item()) % x.shape[axis]
        return node.view(0, offset_elements=row * cols)
    rows = before * indices.size
    where = [] if indices.immediate else [node.array(1)]
    return node.record(
        kind="embedding" if node.operand(0).known else "gather",
        family=Family.GATHER,
        dims={"rows": rows, "cols": cols},
        reads=(rows_read(x, rows, cols), *where),
    )
