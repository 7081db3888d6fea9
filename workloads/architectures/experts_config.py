"""What a mixture of experts is, in words that all families share."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as validated_by


class Experts(BaseModel):
    """Feed-forwards of which each token is given a few, and how these are chosen.

    Sources: Jiang et al. 2024, arXiv:2401.04088 (Mixtral); DeepSeek-AI 2024, arXiv:2412.19437.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: PositiveInt
    chosen: PositiveInt
    """Experts that each token is given to."""
    intermediate_size: PositiveInt
    """Width inside an expert."""
    scoring: Literal["softmax", "sigmoid"]
    """What makes scores of the router's logits."""
    normalised: bool = True
    """Whether a token's chosen scores are divided by their sum, to weigh its experts."""
    scale: PositiveFloat = 1.0
    """What the weights are multiplied by."""
    corrected: bool = False
    """Whether a number for each expert is added to its score for the choice, not for the weight."""
    groups: PositiveInt = 1
    """Neighbouring experts; only `groups_chosen` groups may serve a token: those whose two best
    scores have the greatest sums."""
    groups_chosen: PositiveInt = 1
    shared: NonNegativeInt = 0
    """Experts that serve every token besides; together they are one wide one."""
    first_dense: NonNegativeInt = 0
    """Layers before the first that has experts."""
    routing: Literal["data", "balanced"] = "data"
    """Who chooses where numbers are computed: the scores, or the rule that stands in for them
    where there are none (see `workloads.architectures.experts`)."""

    @property
    def shared_size(self) -> int:
        """Width inside what serves every token; 0 for none."""
        return self.shared * self.intermediate_size

    @validated_by(mode="after")
    def _check(self) -> Self:
        if self.count % self.groups:
            raise ValueError("the experts must divide into groups of one size")
        if self.groups > 1 and self.count < 2 * self.groups:
            raise ValueError("a group must hold at least two experts")
        if self.groups_chosen > self.groups:
            raise ValueError("no more groups can be chosen than there are")
        if self.chosen > self.count // self.groups * self.groups_chosen:
            raise ValueError("a token is given to more experts than its groups hold")
        return self
