"""Matrix products of a graph: MatMul, Gemm, and convolutions as products of unfolded windows.

Letters in shapes: N batch, C channels in, M channels out, g groups; m, n, k as in `ops.matmul`.
"""

from __future__ import annotations

from math import prod

from workloads.array import Array
from workloads.onnx_graph.node import Node, UnsupportedNodeError
from workloads.trace import Family


def matmul(node: Node) -> Array:
    """Multiply A [..., m, k] by B [..., k, n], whose leading axes are broadcast as numpy does.

    Where B has no batch, the rows of all of A's are one product's.
    """
    a, b = node.operand(0).shape, node.operand(1).shape
    a = (1, *a) if len(a) == 1 else a  # [k] -> [1, k]
    b = (*b, 1) if len(b) == 1 else b  # [k] -> [k, 1]
    m, k, n = a[-2], a[-1], b[-1]
    products = node.result.size // (m * n)  # over the broadcast leading axes
    if prod(b[:-2]) == 1:
        return node.product(1, products * m, n, k)
    return node.product(products, m, n, k)


def gemm(node: Node) -> Array:
    """Alpha * A' [m, k] x B' [k, n] + beta * C: a product, and what of the rest there is."""
    a = node.operand(0).shape
    k = a[0] if node.attributes.get("transA") else a[1]
    m, n = node.result.shape
    product = node.product(1, m, n, k)  # [m, n]
    if node.attributes.get("alpha", 1.0) != 1:
        product = node.elementwise("scale", (product,), flops=1)
    if not node.has(2):
        return product
    bias = node.operand(2)
    scaled = node.attributes.get("beta", 1.0) != 1 and not bias.known  # known: scaled beforehand
    return _biased(node, product, 2, flops=2 if scaled else 1)


def conv(node: Node) -> Array:
    """X [N, C, ...] with W [M, C/g, ...]: of each group a product over its windows.

    Its rows are all places of the result, its depth a window of the group's channels. The windows
    are not written out: X is read once, as implicit-product kernels do.
    """
    x, w = node.operand(0).shape, node.operand(1).shape
    if len(x) not in {3, 4}:
        raise UnsupportedNodeError(f"convolution over {len(x) - 2} axes; 1 and 2 are known")
    groups = int(node.attributes.get("group", 1))
    n, m, *places = node.result.shape
    if groups < 1 or m % groups:
        raise UnsupportedNodeError(f"{groups} groups of {m} channels")
    product = node.product(groups, n * prod(places), m // groups, prod(w[1:]), kind="conv")
    return _biased(node, product, 2, flops=1) if node.has(2) else product


def _biased(node: Node, product: Array, position: int, *, flops: int) -> Array:
    """Add an operand to a product, in its place."""
    bias = [] if node.operand(position).immediate else [node.array(position)]
    return node.tracer.record(
        kind="add",
        family=Family.ELEMENTWISE,
        name=f"{node.name}.bias",
        dims={"elements": product.size},
        flops=flops * product.size,
        reads=(product, *bias),
        shape=product.shape,
        compute=lambda *values: values[0],
        buffer=product.name,
    )
