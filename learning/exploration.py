"""How chance enters what networks do: by draws that are given, so that an episode's are its own."""

from __future__ import annotations

import torch

Schedule = tuple[float, float, float]  # epsilon at the start, at the end, and the share of the budget in between


def epsilon_greedy(
    greedy: torch.Tensor, actions: int, schedule: Schedule, progress: float, noise: torch.Tensor
) -> torch.Tensor:
    """`greedy` actions, or with probability epsilon any of `actions`, by the uniform draws `noise` of the same shape.

    One draw serves for both: below epsilon it is uniform on [0, epsilon). Epsilon falls linearly with `progress`.
    """
    start, end, until = schedule
    epsilon = start + (end - start) * min(1.0, progress / until)
    if epsilon <= 0.0:
        return greedy
    drawn = (noise * (actions / epsilon)).long().clamp(max=actions - 1)
    return torch.where(noise < epsilon, drawn, greedy)


def sampled(logits: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """(...) actions drawn from `logits` (..., A) by the uniform draws `noise` (...), each by the inverse of its CDF."""
    below = logits.softmax(dim=-1).cumsum(dim=-1) <= noise.unsqueeze(-1)
    return below.sum(dim=-1).clamp(max=logits.shape[-1] - 1)
