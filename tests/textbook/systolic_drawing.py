"""Small operands, and an array drawn as words of digits: one word for each row of elements."""

import numpy as np

from sim.tpu.array.reference import Snapshot, multiply
from sim.tpu.array.systolic import ArraySpec

A_3X3 = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
B_3X3 = np.array([[1.0, 0, 2], [0, 1, 0], [3, 0, 1]])

FOLDS = ("0123456789", "abcdefghij")
"""Steps of even folds are digits, those of odd folds letters."""


def drawing(snapshot: Snapshot) -> str:
    """Steps by element, `.` for a bubble."""
    return " ".join(
        "".join("." if step < 0 else FOLDS[fold % 2][step] for step, fold in zip(*row, strict=True))
        for row in zip(snapshot.rows.tolist(), snapshot.folds.tolist(), strict=True)
    )


def leaving(snapshot: Snapshot) -> str:
    """Rows of results on their way out, by element."""
    return " ".join(
        "".join("." if row < 0 else str(row) for row in line) for line in snapshot.leaving.tolist()
    )


def watched(
    array: ArraySpec, a: np.ndarray, b: np.ndarray, *, overlapped: bool = False
) -> list[Snapshot]:
    """Every cycle of a product, which must be the product."""
    seen: list[Snapshot] = []
    product = multiply(array, a, b, overlapped=overlapped, watch=seen.append)
    assert (product.values == a @ b).all()
    assert product.cycles == len(seen)
    return seen
