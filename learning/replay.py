"""Learning from replay: a buffer over arrays, sampled uniformly or by priority (Schaul et al. 2016, proportional)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..core.config import UsageError, configuration
from ..core.random import Stream
from .exploration import epsilon_greedy
from .role import PHASES, REPLAY, Task
from .settings import Replayed
from .trained import Batch, Columns, Context, Memory, Networks, Rollout, Trained

if TYPE_CHECKING:
    import torch


class Replay:
    """The last `capacity` rows of named arrays.

    A row is drawn with probability proportional to its priority, `|TD error| ** exponent`; new rows get the largest
    priority yet. With exponent 0 sampling is uniform. There is no importance correction (beta = 0, Ivanov et al. 2024).
    One cumulative sum serves all the minibatches of a learner call, which is cheaper than a tree.
    """

    EPSILON = 1e-7  # keeps every row possible (Ivanov et al. 2024)

    def __init__(self, capacity: int, exponent: float, rng: Stream) -> None:
        self.capacity, self.exponent, self.rng = capacity, exponent, rng
        self.columns: Columns = {}
        self.priorities = np.zeros(capacity)
        self.highest = 1.0
        self.size = self.next = 0

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Append rows (n, ...), overwriting the oldest."""
        count = len(next(iter(rows.values())))
        if not self.columns:
            self.columns = {name: np.zeros((self.capacity, *a.shape[1:]), a.dtype) for name, a in rows.items()}
        places = (self.next + np.arange(count)) % self.capacity
        for name, column in self.columns.items():
            column[places] = rows[name]
        self.priorities[places] = self.highest
        self.next = (self.next + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def draw(self, count: int) -> np.ndarray:
        """Indices (count,) of rows."""
        if self.exponent == 0.0:
            return self.rng.integers(self.size, count)
        cumulative = np.cumsum(self.priorities[: self.size])
        drawn = np.searchsorted(cumulative, self.rng.uniform(count) * cumulative[-1], side="right")
        return np.minimum(drawn, self.size - 1)

    def rows(self, indices: np.ndarray) -> Columns:
        return {name: column[indices] for name, column in self.columns.items()}

    def reprioritise(self, indices: np.ndarray, errors: np.ndarray) -> None:
        """Set the priorities of rows from their TD errors, both (n,)."""
        if self.exponent:
            self.priorities[indices] = (np.abs(errors) + self.EPSILON) ** self.exponent
            self.highest = max(self.highest, float(self.priorities[indices].max()))


@configuration
class ReplayedRole(Replayed, Trained):
    """A role that learns from replay, with averaged targets."""

    averaged: ClassVar[bool] = True

    def transitions(self, task: Task, rollout: Rollout) -> Columns:
        """The joint rows (T * B, ...) of a rollout to store."""
        raise NotImplementedError

    def replayed(self, task: Task, rows: Columns, rng: Stream) -> Mapping[str, Columns]:
        """The columns of each module, from stored rows that were drawn."""
        raise NotImplementedError

    def memory(self, task: Task) -> ReplayMemory:
        return ReplayMemory(self, task)

    def explore(self, greedy: torch.Tensor, context: Context, noise: torch.Tensor) -> torch.Tensor:
        """The `greedy` actions, or with probability epsilon random ones, by draws of the same shape."""
        schedule = (self.epsilon, self.epsilon_final, self.exploration_fraction)
        progress = context.generation if self.plays == "agents" else context.progress
        return epsilon_greedy(greedy, len(context.game.action_names), schedule, progress, noise)

    @property
    def rollout_shape(self) -> tuple[int, int]:
        return self.environments, self.rollout_length

    @property
    def minibatches_and_epochs(self) -> tuple[int, int]:
        """One gradient step for each vector step."""
        return self.rollout_length, 1

    def training(self, task: Task) -> dict[str, object]:
        return {
            **super().training(task), "tau": self.tau, "target_network_update_freq": self.target_interval,
            "grad_clip": 10.0,
        }  # fmt: skip


class ReplayMemory(Memory):
    """Stores every transition, and gives batches of sampled ones after the warm-up."""

    role: ReplayedRole

    def __init__(self, role: ReplayedRole, task: Task) -> None:
        super().__init__(role, task)
        beside = role.plays == "agents" and "principal" in task.phase.learns  # one of two roles that learn
        self.kept = Replay(
            role.replay, role.priority, Stream(task.seed, REPLAY, task.phase.stream + len(PHASES) * beside)
        )
        self.takes_errors = role.priority > 0.0
        self.chosen = np.zeros(0, np.int64)

    def add(self, rollouts: Sequence[Rollout], steps: int, nets: Networks) -> Batch | None:
        role, task = self.role, self.task
        for rollout in rollouts:
            terminated = rollout.ended if role.horizon_terminates else rollout.terminated
            self.kept.add(role.transitions(task, rollout._replace(terminated=terminated)))
        if steps < min(role.warm_up, task.steps // 10):
            return None
        self.chosen = self.kept.draw(role.rollout_length * role.batch)
        return Batch(role.replayed(task, self.kept.rows(self.chosen), self.kept.rng), len(self.chosen))

    def learned(self, errors: Mapping[str, np.ndarray]) -> None:
        """New priorities, from the mean error over modules and agents. Raises UsageError where there are none."""
        if not errors:
            raise UsageError(f"priority: the loss of {type(self.role).__name__} gives no errors; set it to 0")
        each = [found.reshape(len(self.chosen), -1).mean(axis=1) for found in errors.values()]
        self.kept.reprioritise(self.chosen, np.mean(each, axis=0))

    def forget(self) -> None:
        self.kept.size = self.kept.next = 0
