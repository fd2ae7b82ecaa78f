"""Algorithm 3 of Ivanov et al. 2024: the loss and the payments of a principal that recommends actions.

The agents' values Q((s, f_-i), a) are learned without payments, for every pattern f of agents that follow the
principal's recommendations; the principal's values q(s, a_i) are summed over the agents (VDN, Sunehag et al. 2018).
Subscripts `_t` and `_tp1` are the state of a transition and the next one; `n` transitions, `N` agents, `A` actions.

What the paper leaves open, and what is done here by default:
- Payments in the principal's target come from the averaged network, the agent's best action from the online one:
  max_a Q - Q(a_i) over noisy values is biased upwards, and choosing with one network and pricing with the other
  (van Hasselt et al. 2016) halves the bias (`payments_by`). A price below zero is zero: limited liability.
- The principal learns from every transition, whichever agents followed: q(s, a) is the value of recommending `a` if it
  is followed, and `a` was played (`followed_only`).
- Where the game truncates at its horizon, targets bootstrap through it (`horizon_terminates`).
- The loss is Huber's, and gradients are clipped: by squared errors the two regressions, of which one is the other's
  reward, can diverge.

Two things are not the paper's. Q-learning is double (`double`). And Q((s, f_-i), .) is the value to agent i while the
others are on policy and do not explore: it learns from the transitions in which the others took the actions that the
current networks choose (`others_on_policy`).

The paper nudges in training: the principal's target pays for it. `margins_in_training` does so; by default margins are
added to what a trained principal promises, which never knew their cost.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import huber_loss

from ...contracts.margins import PaymentMargins
from ...contracts.mechanism import welfare_weights
from ..joint_networks import all_follow, joint, others
from ..least_payments import least_payments, taken, with_margins
from ..settings import PaymentsBy

NO_MARGINS = PaymentMargins()


class Values(NamedTuple):
    """Action values (n, N, A) at a batch of transitions."""

    agents_t: torch.Tensor  # Q((s_t, f_-i), .), online
    agents_tp1: torch.Tensor  # Q((s_t+1, f_-i), .), online
    agents_tp1_target: torch.Tensor
    followers_t: torch.Tensor  # Q((s_t, 1), .), online: everyone else follows
    followers_t_target: torch.Tensor
    principal_t: torch.Tensor  # q(s_t, .), online
    principal_tp1: torch.Tensor
    principal_tp1_target: torch.Tensor


class Transitions(NamedTuple):
    """A batch of transitions."""

    actions_t: torch.Tensor  # (n, N)
    follows_t: torch.Tensor  # (n, N) f, 1 or 0
    rewards_t: torch.Tensor  # (n, N) from the environment alone
    terminated_t: torch.Tensor  # (n,) float


class Losses(NamedTuple):
    """Means over the counted transitions, and the error of each transition (n,) for the replay's priorities."""

    agents: torch.Tensor
    principal: torch.Tensor
    errors: torch.Tensor


def values_at(
    net: torch.nn.ModuleDict, target: torch.nn.ModuleDict | None, rows_t: torch.Tensor, rows_tp1: torch.Tensor,
    follows_t: torch.Tensor, *, double: bool = True, payments_by: PaymentsBy = "double",
) -> Values:  # fmt: skip
    """The values at joint rows (n, N, D) of transitions, by the networks of `principal_networks` and their average.

    What `losses` does not read with these settings is not computed: the other network's values stand in its place.
    """
    assert target is not None
    others_t = others(follows_t)
    with torch.no_grad():
        agents_tp1, followers_t = torch.cat([rows_tp1, others_t], dim=-1), all_follow(rows_t)
        online = _read(net["agents"], agents_tp1 if double else None, followers_t if payments_by != "target" else None)
        average = _read(target["agents"], agents_tp1, followers_t if payments_by != "online" else None)
        principal_tp1_target = joint(target["principal"], rows_tp1)
        principal_tp1 = joint(net["principal"], rows_tp1) if double else principal_tp1_target
    next_online, followers = _either(online, average)
    next_target, followers_target = _either(average, online)
    return Values(
        joint(net["agents"], torch.cat([rows_t, others_t], dim=-1)), next_online, next_target, followers,
        followers_target, joint(net["principal"], rows_t), principal_tp1, principal_tp1_target,
    )  # fmt: skip


def _read(network: torch.nn.Module, *rows: torch.Tensor | None) -> list[torch.Tensor | None]:
    """The values at some joint rows, in one pass; None where there are none."""
    asked = [each for each in rows if each is not None]
    found = iter(joint(network, torch.cat(asked)).chunk(len(asked)) if asked else ())
    return [None if each is None else next(found) for each in rows]


def _either(values: list[torch.Tensor | None], others: list[torch.Tensor | None]) -> list[torch.Tensor]:
    """Each of the values, or where there are none the other ones."""
    found = (other if value is None else value for value, other in zip(values, others, strict=True))
    return [each for each in found if each is not None]


def losses(
    values: Values, batch: Transitions, *, discount: float, alpha: float, favour: float = 0.0,
    margins: PaymentMargins = NO_MARGINS, double: bool = True, payments_by: PaymentsBy = "double", masked: bool = True,
    followed_only: bool = False,
) -> Losses:  # fmt: skip
    """Algorithm 3's two regressions, with double Q-learning and Huber loss.

    y_a = r_i + discount Q'((s', f_-i), argmax_a' Q((s', f_-i), a'))
    y_p = sum_i [ w_i r_i - alpha b_i(s, a_i) ] + discount sum_i q'(s', argmax_a' q(s', a'))

    Not `double`, y_a and y_p have max_a' Q'((s', f_-i), a') and max_a' q'(s', a') for the next step, as published. If
    `masked`, the agents' loss counts y_a where the mask `others_on_policy` is 1, else everywhere; where it does not
    count y_a has no part in a transition's priority either. So it is with y_p and transitions in which all follow, if
    `followed_only`. The welfare weights w_i are 1, or with `favour` those of `welfare_weights`. The payments b_i are
    the least ones, by the networks that `payments_by` says, with the `margins` that are in force in training.
    """
    discount_t = discount * (1.0 - batch.terminated_t)
    with torch.no_grad():
        next_values = (
            (values.agents_tp1, values.principal_tp1)
            if double
            else (values.agents_tp1_target, values.principal_tp1_target)
        )
        chosen_agents, chosen_principal = (each.argmax(dim=-1) for each in next_values)
        agents_tp1 = taken(values.agents_tp1_target, chosen_agents)
        y_agents = batch.rewards_t + discount_t.unsqueeze(-1) * agents_tp1
        least_t = least_payments(*_priced(values, payments_by), batch.actions_t, margins.strict_margin)
        payments_t = with_margins(least_t, margins)
        principal_tp1 = taken(values.principal_tp1_target, chosen_principal).sum(dim=-1)
        weights = batch.rewards_t.new_tensor(welfare_weights(batch.rewards_t.shape[1], favour))
        y_principal = (weights * batch.rewards_t - alpha * payments_t).sum(dim=-1) + discount_t * principal_tp1
    agents_t = taken(values.agents_t, batch.actions_t)
    principal_t = taken(values.principal_t, batch.actions_t).sum(dim=-1)
    mask = others_on_policy(values, batch) if masked else torch.ones_like(agents_t)
    counted = batch.follows_t.amin(dim=-1) if followed_only else torch.ones_like(principal_t)
    errors = (mask * (agents_t - y_agents).abs()).mean(dim=-1) + counted * (principal_t - y_principal).abs()
    return Losses(_loss(agents_t, y_agents, mask), _loss(principal_t, y_principal, counted), errors.detach())


def _priced(values: Values, payments_by: PaymentsBy) -> tuple[torch.Tensor, torch.Tensor]:
    """The followers' values that choose the best action, and those that price it and the one taken."""
    online, target = values.followers_t, values.followers_t_target
    return {"double": (online, target), "online": (online, online), "target": (target, target)}[payments_by]


def _loss(found: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean Huber loss where the `mask` is 1."""
    return (mask * huber_loss(found, target, reduction="none")).sum() / mask.sum().clamp(min=1.0)


def others_on_policy(values: Values, batch: Transitions) -> torch.Tensor:
    """The mask (n, N): 1 where all agents but i took the action that the networks choose, following or not; else 0.

    With many agents that explore it is rarely 1. With views of the game it is computed in the sampled view.
    """
    recommended, own = values.principal_t.argmax(dim=-1), values.agents_t.argmax(dim=-1)
    strayed = (batch.actions_t != torch.where(batch.follows_t > 0.0, recommended, own)).float()
    return (strayed.sum(dim=-1, keepdim=True) - strayed == 0.0).float()
