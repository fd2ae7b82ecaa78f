"""Algorithm 2 of Ivanov et al. 2024: the loss and the payments of a principal that sees only outcomes.

There is one agent, and its actions are hidden. Its values Q(s, a) = u(s, a) + E_o|a w(s, o) leave out the payment due
now and count all later ones (they are truncated): u is the immediate reward, w the value of what follows an outcome.
The principal learns z(s, o), the value of each outcome to it before it pays. The value of inducing `a` by the least
payments follows: q(s, a) = E_o|a [ z(s, o) - b(s, a, o) ]. Subscripts `_t` and `_tp1` are the state of a transition and
the next one; `n` transitions, `A` actions, 2 outcomes, `chance` (n, A, 2) the probability of each outcome after each
action. The principal knows these probabilities, as in the paper: without them no payment on outcomes could be computed.

What the paper leaves open, and what is done here:
- The paper's networks learn Q(s, a) and q(s, a) from the sampled outcomes. But the outcome's probability is known; the
  next state and the principal's reward depend on the outcome alone, and the agent's reward on its action alone: u, w
  and z are learned without the sampling noise. With it the principal would choose at every step what happened to come
  out best, overestimate the value of the start, and pay for the noise in the agent's values.
- The agent takes the induced action while both learn: the contract makes it a best response by the agent's own values.
- Everything in the targets comes from the averaged networks, the next induced action included, since these are the
  networks that are kept: the agent's values jump where the induced action changes, so they must be those under the
  final principal.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import huber_loss

from ..least_payments import taken
from ..payments_on_outcomes import OUTCOMES, expected, least_payments_on_outcomes


class Values(NamedTuple):
    """Values at a batch of transitions."""

    agent_t: torch.Tensor  # u(s_t, .) and w(s_t, .), concatenated (n, A + 2), online
    agent_tp1_target: torch.Tensor
    principal_t: torch.Tensor  # z(s_t, .), (n, 2), online
    principal_tp1_target: torch.Tensor


class Transitions(NamedTuple):
    """A batch of transitions."""

    actions_t: torch.Tensor  # (n,) the induced actions, which were played
    outcomes_t: torch.Tensor  # (n, 2) 1 for the outcome that came, else 0
    rewards_t: torch.Tensor  # (n,) the agent's from the environment alone
    principal_t: torch.Tensor  # (n,) the principal's before it pays
    chance_tp1: torch.Tensor  # (n, A, 2)
    terminated_t: torch.Tensor  # (n,) float


class Losses(NamedTuple):
    """Means over the batch, and the error of each transition (n,) for the replay's priorities."""

    agent: torch.Tensor
    principal: torch.Tensor
    errors: torch.Tensor


def acting(values: torch.Tensor, chance: torch.Tensor) -> torch.Tensor:
    """The agent's Q(s, .) (n, A) from u(s, .) and w(s, .), concatenated (n, A + 2)."""
    return values[..., :-OUTCOMES] + expected(values[..., -OUTCOMES:], chance)


def inducing(z: torch.Tensor, q: torch.Tensor, chance: torch.Tensor, nudge: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, A) each: what inducing every action is worth to the principal, and what it then pays, expected over outcomes.

    From the principal's values of outcomes `z` (n, 2) and the agent's of actions `q` (n, A).
    """
    actions = torch.arange(q.shape[1], device=q.device).expand_as(q)
    payments = [least_payments_on_outcomes(q, chance, action, nudge) for action in actions.unbind(dim=-1)]
    paid = expected(torch.stack(payments, dim=-2), chance)
    return expected(z, chance) - paid, paid


def values_at(
    net: torch.nn.ModuleDict, target: torch.nn.ModuleDict | None, seen_t: torch.Tensor, seen_tp1: torch.Tensor
) -> Values:
    """The values at classes (n,) seen in transitions, by the networks of `outcome_networks` and their average."""
    assert target is not None
    with torch.no_grad():
        agent_tp1_target, principal_tp1_target = (target[name](seen_tp1) for name in ("agent", "principal"))
    return Values(net["agent"](seen_t), agent_tp1_target, net["principal"](seen_t), principal_tp1_target)


def losses(values: Values, batch: Transitions, *, discount: float, nudge: float) -> Losses:
    """Algorithm 2's regressions, with Huber loss. a' = argmax_a q'(s', a) is the next induced action.

    y_u = r, for the action that was played
    y_w = discount ( E_o'[b(s', a', o')] + Q'(s', a') ), for the outcome that came
    y_z = rp + discount q'(s', a'), likewise
    """
    discount_t = discount * (1.0 - batch.terminated_t)
    with torch.no_grad():
        q_tp1 = acting(values.agent_tp1_target, batch.chance_tp1)
        worth_tp1, paid_tp1 = inducing(values.principal_tp1_target, q_tp1, batch.chance_tp1, nudge)
        actions_tp1 = worth_tp1.argmax(dim=-1)
        y_later = discount_t * taken(paid_tp1 + q_tp1, actions_tp1)
        y_principal = batch.principal_t + discount_t * taken(worth_tp1, actions_tp1)
    now, later = values.agent_t[:, :-OUTCOMES], values.agent_t[:, -OUTCOMES:]
    pairs = [
        (taken(now, batch.actions_t), batch.rewards_t),
        ((later * batch.outcomes_t).sum(dim=-1), y_later),
        ((values.principal_t * batch.outcomes_t).sum(dim=-1), y_principal),
    ]
    of_now, of_later, of_principal = (huber_loss(found, target) for found, target in pairs)
    errors = sum(((found - target).abs() for found, target in pairs), torch.zeros_like(y_later))
    return Losses(of_now + of_later, of_principal, errors.detach())
