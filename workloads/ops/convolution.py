"""Convolution along time, as a copy of each window and a product.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import Family


def unfold(x: Array, *, kernel: int, stride: int, name: str) -> Array:
    """Lay the window of each output side by side, x [B, T, C] -> [B, T', kernel*C].

    Window t holds positions stride*t - kernel//2 .. + kernel - 1, with zeros outside: an odd
    kernel is centred, and T' = ceil(T / stride). A product by a weight [kernel*C, n] completes
    the convolution.
    """
    fits = len(x.shape) == 3 and kernel % 2 == 1
    need(fits=fits, op="unfold", rule="x is [B, T, C] and the kernel odd", x=x)
    batch, tokens, width = x.shape
    outputs, side = -(-tokens // stride), kernel // 2

    def compute(x: Values) -> Values:
        padded = np.pad(x, ((0, 0), (side, side), (0, 0)))  # [B, T + kernel - 1, C]
        windows = sliding_window_view(padded, kernel, axis=1)[:, ::stride]  # [B, T', C, kernel]
        return windows.swapaxes(2, 3).reshape(batch, outputs, kernel * width)

    return x.tracer.record(
        kind="unfold",
        family=Family.COPY,
        name=name,
        dims={"elements": batch * outputs * kernel * width},
        flops=0,
        reads=(x,),
        shape=(batch, outputs, kernel * width),
        compute=compute,
    )
