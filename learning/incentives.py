"""Incentives that are learned through the learning of those who receive them: pure torch, in the notation of LIO.

Agent j acts by its policy of parameters theta_j, and givers, each with a network of parameters eta, add incentives to
what it earns. It climbs

    J_j = mean over episodes of sum_t log pi_j(a_t | o_t) (G_t - baseline_t) + entropy,

with G_t its return from step t on, incentives included (REINFORCE), by one step of plain gradient ascent: theta'_j =
theta_j + lr grad J_j. Incentives enter theta'_j through G_t, so a giver climbs its own objective, on episodes that
theta' plays, by the gradient through that step (Yang et al. 2020, arXiv:2006.06051, equations 4 to 6).

`N` networks of one shape lie in one stack: every parameter has a leading axis, and all are computed at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..core.config import UsageError

Stack = list[torch.Tensor]  # of N networks, alternating weights (N, inputs, outputs) and biases (N, 1, outputs)


class Played(NamedTuple):
    """The first `B` episodes from their starts, `T` steps of each; what follows the end of one does not count."""

    rows: torch.Tensor  # (N, T, B, D) what each agent saw
    actions: torch.Tensor  # (N, T, B) int64
    rewards: torch.Tensor  # (N, T, B) from the environment
    counts: torch.Tensor  # (T, B) 1.0 where the episode went on


class Climb(NamedTuple):
    """How agents climb."""

    lr: float
    discount: float
    entropy: float


def stack(count: int, inputs: int, hidden: Sequence[int], outputs: int, last: float = 1.0) -> Stack:
    """`count` networks of dense layers, drawn as torch draws its linear ones; the last layer's weights times `last`."""
    found: Stack = []
    widths = (inputs, *hidden, outputs)
    for before, after in itertools.pairwise(widths):
        bound = before**-0.5
        found += [(2 * torch.rand(count, before, after) - 1) * bound, torch.zeros(count, 1, after)]
    found[-2] *= last
    return [each.requires_grad_() for each in found]


def outputs(networks: Stack, rows: torch.Tensor) -> torch.Tensor:
    """(N, M, outputs) of the networks, each on its own rows (N, M, inputs)."""
    for place in range(0, len(networks), 2):
        if place:
            rows = torch.relu(rows)
        rows = torch.baddbmm(networks[place + 1], rows, networks[place])
    return rows


def log_chances(
    policies: Stack, rows: torch.Tensor, epsilon: float, random: torch.Tensor | None = None
) -> torch.Tensor:
    """(N, ..., A): the log of the probabilities with which policies act.

    A share `epsilon` of actions is drawn by the probabilities `random` (A,), evenly unless given.
    """
    return explored(outputs(policies, rows.flatten(1, -2)).unflatten(1, rows.shape[1:-1]), epsilon, random)


def explored(logits: torch.Tensor, epsilon: float, random: torch.Tensor | None = None) -> torch.Tensor:
    """`log_chances` of policies whose `logits` (N, ..., A) are known."""
    if not epsilon:
        return logits.log_softmax(dim=-1)
    drawn = torch.full_like(logits[0, 0], 1.0 / logits.shape[-1]) if random is None else random
    return ((1.0 - epsilon) * logits.softmax(dim=-1) + epsilon * drawn).log()


def drawn(chances: torch.Tensor) -> torch.Tensor:
    """(N, B): actions by their `chances` (N, B, A). Raises UsageError where these are none: learning has diverged."""
    if not torch.isfinite(chances).all():
        raise UsageError(
            "the networks of the agents beside which the mechanism learns have diverged: choose smaller steps "
            "(principal.lr, or principal.agents_lr), or smaller amounts of the mechanism"
        )
    return torch.multinomial(chances.flatten(0, 1), 1).reshape(chances.shape[:2])


def returns(rewards: torch.Tensor, counts: torch.Tensor, discount: float) -> torch.Tensor:
    """(N, T, B): the discounted rewards from each step on, less their mean over the episodes that went on."""
    steps = torch.arange(len(counts), dtype=rewards.dtype)
    ahead = steps - steps[:, None]
    weights = torch.where(ahead >= 0, discount ** ahead.clamp(min=0), ahead.new_zeros(()))
    following = torch.einsum("tk,nkb->ntb", weights, rewards * counts)
    mean = (following * counts).sum(dim=-1, keepdim=True) / counts.sum(dim=-1, keepdim=True).clamp(min=1.0)
    return following - mean


def climbed(policies: Stack, played: Played, incentives: torch.Tensor, epsilon: float, climb: Climb) -> Stack:
    """theta': the policies after a step of their own, differentiable in the `incentives` (N, T, B) received."""
    log = log_chances(policies, played.rows, epsilon)
    taken = log.gather(-1, played.actions[..., None]).squeeze(-1)
    spread = -(log.exp() * log).sum(dim=-1)
    earned = returns(played.rewards + incentives, played.counts, climb.discount)
    objective = ((taken * earned + climb.entropy * spread) * played.counts).sum() / played.counts.shape[1]
    steps = torch.autograd.grad(objective, policies, create_graph=True)
    return [own + climb.lr * step for own, step in zip(policies, steps, strict=True)]


def influence(policies: Stack, played: Played, wanted: torch.Tensor, epsilon: float, discount: float) -> torch.Tensor:
    """(G, N): the policy gradient's objective of giver g by agent j's actions, where a giver wants `wanted` (G, T, B).

    Its gradient by the policies' parameters is that of the giver's return.
    """
    log = log_chances(policies, played.rows, epsilon)
    taken = log.gather(-1, played.actions[..., None]).squeeze(-1) * played.counts
    earned = returns(wanted, played.counts, discount)
    return torch.einsum("ntb,gtb->gn", taken, earned) / played.counts.shape[1]


def own_gradients(wanted: torch.Tensor, givers: Stack) -> Stack:
    """The gradient of each giver's objective, of `wanted` (G,), by the parameters of its own network."""
    found = [torch.zeros_like(part) for part in givers]
    for g, objective in enumerate(wanted):
        for part, step in zip(found, torch.autograd.grad(objective, givers, retain_graph=True), strict=True):
            part[g] = step[g]
    return found
