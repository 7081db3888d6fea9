"""Early stopping: end the training when the loss no longer falls."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan

from workloads.config import ModelError


@dataclass(kw_only=True)
class EarlyStopping:
    """Watches a loss. Source: Prechelt, Early Stopping - But When?, 1998."""

    patience: int
    """Steps in a row that may pass without a new lowest loss."""
    least_fall: float = 0.0
    """By how much a loss must lie below the lowest so far to count as new lowest."""

    def __post_init__(self) -> None:
        if self.patience < 1 or self.least_fall < 0:
            raise ModelError("early stopping needs patience of at least 1 and least_fall of 0 up")
        self._lowest = inf
        self._waited = 0

    def stops(self, loss: float) -> bool:
        """Take the next loss; whether to end here. What is not a number is no fall."""
        if not isnan(loss) and loss < self._lowest - self.least_fall:
            self._lowest, self._waited = loss, 0
        else:
            self._waited += 1
        return self._waited >= self.patience
