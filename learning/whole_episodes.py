"""Whole episodes of agents beside which somebody learns: the play that `beside_agents` and `through_learning` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..contracts.episodes import Episodes
from ..contracts.loop import Loop

if TYPE_CHECKING:
    import torch

    from .agents.companions import Companions
    from .incentives import Stack

    Offer = Callable[[Loop], tuple[torch.Tensor, ...]]  # offers the terms of a step, and says what to note of it


class Batch(NamedTuple):
    """`T` steps of `B` episodes from their starts, of `N` agents; what follows the end of one does not count."""

    rows: torch.Tensor  # (N, T, B, D) what agents saw
    chosen: torch.Tensor  # (N, T, B) int64
    rewards: torch.Tensor  # (N, T, B) from the environment
    principal: torch.Tensor  # (T, B) what the principal values
    counts: torch.Tensor  # (T, B) 1.0 where the episode went on
    cut: torch.Tensor  # (T, B) 1.0 where it was cut after the step: learners bootstrap
    noted: tuple[torch.Tensor, ...]  # (T, ...) each: what was noted when the terms were offered
    finished: list[Episodes]


def played(
    loop: Loop, agents: Companions, policies: Stack, epsilon: float, offer: Offer, random: torch.Tensor | None = None
) -> Batch:
    """An episode in every environment, from its start, in which `agents` act by such `policies`.

    A share `epsilon` of their actions is drawn by the probabilities `random` (A,), evenly unless given.
    """
    import torch

    from .incentives import drawn, log_chances

    loop.begin_anew()
    by_agent: list[tuple[torch.Tensor, ...]] = []
    others: list[tuple[torch.Tensor, ...]] = []
    finished: list[Episodes] = []
    going = np.ones(loop.B, bool)
    while going.any():
        with torch.no_grad():
            noted = offer(loop)
            seen = agents.sight(loop.seen)
            chosen = drawn(log_chances(policies, seen, epsilon, random).exp())
        step = loop.step(chosen.T.numpy())
        valued = loop.game.principal_reward(step.transition.events)
        told = (valued, going.astype(np.float32), (going & step.transition.truncated).astype(np.float32))
        by_agent.append((seen, chosen, torch.from_numpy(step.transition.rewards.T.copy())))
        others.append((*map(torch.from_numpy, told), *noted))
        if step.episodes is not None:
            finished.append(step.episodes.select(going[step.ended]))
        going = going & ~step.ended
    rows, chose, rewards = (torch.stack(each, 1) for each in zip(*by_agent, strict=True))
    principal, counts, cut, *notes = (torch.stack(each) for each in zip(*others, strict=True))
    return Batch(rows, chose, rewards, principal, counts, cut, tuple(notes), finished)
