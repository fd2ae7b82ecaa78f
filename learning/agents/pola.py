"""`pola`: agents that shape each other's learning by proximal steps on exact returns, in games that fit in a table.

LOLA's agents take steps in their logits, and expect steps of the others' logits, so what they learn depends on how
policies are parameterised. Agents of proximal LOLA (POLA, Zhao et al. 2022, arXiv:2210.10125) weigh their own and the
others' steps by how far the policies themselves move. In the iterated prisoner's dilemma they come to tit for tat
within a few updates. Like LOLA it is a rival of contracts without principal or payments, and knows how others learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...core.config import configuration
from ..settings import Count, Rate
from .tabular import ExactLearner

if TYPE_CHECKING:
    import torch

    from ..exact_gradients import ExactReturns

Part = Annotated[float, Field(gt=0.0, le=1.0)]


@configuration
class POLA(ExactLearner):
    """Every agent maximises its exact return after the others' proximal response, less `beta_out` times the divergence
    KL(pi || pi_old) of its policy (Zhao et al. 2022, POLA with exact gradients). Each of the others responds to its
    policy by maximising its own return less `beta_in` times its divergence; the agent differentiates through all
    `inner_steps` of that.

    Any divergence of policies will do. The authors' code takes KL(pi_old || pi), added up over situations as here; for
    KL(pi || pi_old) the steps of an ascent have a closed form in probabilities, which needs no parameterisation
    (`learning/proximal.py`). With exact gradients their code takes a single gradient step for the others' response
    ("outer POLA"). Weights are in units of returns, which are sums over time; the defaults are those with which nearly
    all random pairs cooperate in the iterated prisoner's dilemma.
    """

    updates: Count = 20
    beta_out: Rate = 1.0
    """Weight of the divergence of an agent's own policy in what it maximises."""
    beta_in: Rate = 5.0
    """Weight of the divergence that agents expect of each other; the larger, the less they expect others to move."""
    outer_steps: Count = 20
    """Steps in which an agent maximises; those that lead down are taken back."""
    outer_lr: Part = 0.5
    """Step size of these at the start, in units of 1 / `beta_out`."""
    inner_steps: Count = 5
    """Steps of the others' response."""
    inner_lr: Part = 0.5
    """Step size of these, in units of 1 / `beta_in`."""

    def update(self, returns: ExactReturns, logits: list[torch.Tensor]) -> list[torch.Tensor]:
        """All agents' proximal steps at once, from the same policies."""
        from ..exact_gradients import log_probabilities
        from ..proximal import Ascent, shape

        logs = [log_probabilities(each) for each in logits]
        inner = Ascent(self.inner_steps, self.inner_lr, self.beta_in)
        outer = Ascent(self.outer_steps, self.outer_lr, self.beta_out)
        moved = [shape(returns, logs, i, inner, outer) for i in range(len(logs))]
        return [log[:, :-1] - log[:, -1:] for log in moved]
