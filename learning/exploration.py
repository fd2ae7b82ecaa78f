"""Exploration from given uniform draws, so that every episode has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Schedule = tuple[float, float, float]  # epsilon at the start, epsilon at the end, share of the budget it falls over


def epsilon_greedy(
    greedy: torch.Tensor, actions: int, schedule: Schedule, progress: float, noise: torch.Tensor
) -> torch.Tensor:
    """The `greedy` actions, or with probability epsilon a random one of `actions`; `noise` holds uniform draws.

    One draw decides both: given that it is below epsilon, it is uniform on [0, epsilon). Epsilon falls linearly with
    `progress`. `greedy` and `noise` have the same shape.
    """
    start, end, until = schedule
    epsilon = start + (end - start) * min(1.0, progress / until)
    if epsilon <= 0.0:
        return greedy
    drawn = (noise * (actions / epsilon)).long().clamp(max=actions - 1)
    return drawn.where(noise < epsilon, greedy)


def sampled(logits: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Actions (...) sampled from `logits` (..., A) by inverting each CDF at the uniform draws `noise` (...)."""
    below = logits.softmax(dim=-1).cumsum(dim=-1) <= noise.unsqueeze(-1)
    return below.sum(dim=-1).clamp(max=logits.shape[-1] - 1)
