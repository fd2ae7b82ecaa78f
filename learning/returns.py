"""Returns and advantages over a rollout."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Returns(NamedTuple):
    """The n-step returns of a rollout."""

    total: np.ndarray  # (T, B, N) discounted sum of the rewards
    steps: np.ndarray  # (T, B) how many steps it sums
    last: np.ndarray  # (T, B) the time step of the last of them
    terminated: np.ndarray  # (T, B) whether the episode terminated there


def n_step(rewards: np.ndarray, terminated: np.ndarray, ended: np.ndarray, n: int, discount: float) -> Returns:
    """The return from every time step over at most `n` steps.

    A return stops early at the end of an episode and of the rollout; the target bootstraps after its last step.
    `rewards` (T, B, N); `terminated`, `ended` (T, B).
    """
    T, B, _ = rewards.shape
    total = rewards.copy()
    count, last = np.ones((T, B), np.int64), np.repeat(np.arange(T)[:, None], B, axis=1)
    going = ~ended
    for k in range(1, min(n, T)):
        going = going[: T - k]
        total[: T - k] += np.where(going, discount**k, 0.0)[..., None] * rewards[k:]
        count[: T - k] += going
        last[: T - k] += going
        going = going & ~ended[k:]
    return Returns(total, count, last, np.take_along_axis(terminated, last, axis=0))


def advantages(
    rewards: np.ndarray, values: np.ndarray, next_values: np.ndarray,
    terminated: np.ndarray, ended: np.ndarray, discount: float, gae_lambda: float,
) -> np.ndarray:  # fmt: skip
    """Generalised advantage estimates (T, B, N); `terminated` and `ended` are (T, B).

    delta_t = r_t + discount (1 - terminated_t) V(s_t+1) - V(s_t);
    A_t = delta_t + discount lambda (1 - ended_t) A_t+1 (Schulman et al. 2016, equation 16). A truncated step
    bootstraps from the value of the state it was cut at, a terminated one from nothing.
    """
    delta_t = rewards + discount * ~terminated[..., None] * next_values - values
    advantage = np.zeros_like(delta_t)
    following = np.zeros_like(delta_t[0])
    for t in reversed(range(len(delta_t))):
        following = delta_t[t] + discount * gae_lambda * ~ended[t][..., None] * following
        advantage[t] = following
    return advantage


def interval_advantages(
    rewards: np.ndarray, values: np.ndarray, last_values: np.ndarray, due: np.ndarray, ended: np.ndarray,
    discount: float, gae_lambda: float,
) -> np.ndarray:  # fmt: skip
    """Generalised advantages (T, B) of decisions that hold for a while; 0 where none was `due`.

    A decision at t that holds for d steps has the reward R_t = sum_{i<d} discount^i r_{t+i};
    delta_t = R_t + discount^d V(s_{t+d}) - V(s_t);  A_t = delta_t + discount^d lambda A_{t+d}
    (Schulman et al. 2016, equation 16, over intervals as in Sutton, Precup and Singh 1999). With the episode's end,
    `ended`, the interval ends and nothing follows; a new episode begins with a decision. What is cut at T bootstraps
    from `last_values` (B,). All others are (T, B); `values` are read where a decision was due.
    """
    advantages = np.zeros_like(rewards)
    total, weight = np.zeros_like(last_values), np.ones_like(last_values)  # of the interval so far, from its end
    value, advantage = last_values, np.zeros_like(last_values)  # of the decision that follows it
    for t in reversed(range(len(rewards))):
        total = rewards[t] + discount * total
        weight = discount * ~ended[t] * weight
        found = total + weight * value - values[t] + weight * gae_lambda * advantage
        advantages[t] = np.where(due[t], found, 0.0)
        value, advantage = np.where(due[t], values[t], value), np.where(due[t], found, advantage)
        total, weight = np.where(due[t], 0.0, total), np.where(due[t], 1.0, weight)
    return advantages
