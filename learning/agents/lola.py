"""`lola`: agents that learn with awareness of each other's learning, by exact gradients, in games that fit in a table.

A selfish agent that climbs its own return takes the others' behaviour as given. Agents with opponent-learning awareness
(LOLA, Foerster et al. 2018, arXiv:1709.04326) climb the return that they would have once the others had learned, and
so reward each other for learning to cooperate: in the iterated prisoner's dilemma they find tit for tat, without money.
It is a rival of contracts that needs neither a principal nor payments, but it needs to know how the others learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...core.config import configuration
from ..settings import Rate
from .tabular import ExactLearner

if TYPE_CHECKING:
    import torch

    from ..exact_gradients import ExactReturns


@configuration
class LOLA(ExactLearner):
    """Every agent climbs its exact return after a step of the others' learning (Foerster et al. 2018, LOLA with exact
    gradients), by gradients through that step.

    The paper takes a first-order Taylor expansion of the return after the others' step, and one of its two derivatives;
    here it is differentiated as it is. Of `order` 0 the others' learning is not looked at ("naive learning"), of order
    2 or 3 the others are taken to be LOLA agents, or such that take the others to be so (higher-order LOLA).
    """

    order: Annotated[int, Field(ge=0, le=3)] = 1
    """How deep the others' learning is looked at: 0 not at all, 1 as in LOLA, 2 and 3 as in higher-order LOLA."""
    lr: Rate = 1.0
    """Step size of an agent's own ascent."""
    look_ahead: Rate = 1.0
    """Step size that it expects of the others."""

    def update(self, returns: ExactReturns, logits: list[torch.Tensor]) -> list[torch.Tensor]:
        """One step of all agents along their `ascents`."""
        from ..exact_gradients import ascents

        free = [each.requires_grad_() for each in logits]
        steps = ascents(returns, free, self.order, self.look_ahead)
        return [(own + self.lr * step).detach() for own, step in zip(free, steps, strict=True)]
