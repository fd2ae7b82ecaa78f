"""Roles whose networks RLlib trains: what its engine asks of them, in torch and numpy alone.

One RLlib Algorithm trains the roles of a task together (`learning/rllib`). A runner asks each role to `act` or to
`decide`, and keeps the columns that it notes; a role's `memory` makes batches of the rollouts; a Learner takes gradient
steps on its `loss`; and what it learned is `frozen`. This module imports neither torch nor RLlib.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np

from ..contracts.episodes import Episodes
from ..contracts.loop import Loop, Minds, Situation, Step
from ..contracts.mechanism import Decisions
from ..core.checkpoint import Saved
from ..core.config import configuration
from ..envs.game import Game
from .features import rows
from .role import Role, Task, Update
from .settings import Optimiser

if TYPE_CHECKING:
    import torch

PRINCIPAL = "principal"  # the module that decides

Columns = dict[str, np.ndarray]
Tensors = dict[str, "torch.Tensor"]
Net = Any  # the torch.nn.Module that a role's own `network` makes
Networks = Mapping[str, Net]  # by module


class Col:
    """Names of columns: RLlib's, since its own losses read them."""

    OBS, NEXT_OBS, ACTIONS, REWARDS, TERMINATEDS = "obs", "new_obs", "actions", "rewards", "terminateds"
    LOGP, LOGITS, VALUES = "action_logp", "action_dist_inputs", "vf_preds"
    ADVANTAGES, VALUE_TARGETS = "advantages", "value_targets"


class Rollout(NamedTuple):
    """`T` steps of `B` environments. `extras` holds what roles noted, (T, B, ...), a row for each agent or for all."""

    observations: np.ndarray  # (T, B, N, *observation)
    terms: np.ndarray  # (T, B, N, K)
    actions: np.ndarray  # (T, B, N)
    rewards: np.ndarray  # (T, B, N) the environment's alone
    earned: np.ndarray  # (T, B, N) with the mechanism's income: what the agents learn from
    next_observations: np.ndarray  # (T, B, N, *observation) before any reset
    next_terms: np.ndarray  # (T, B, N, K)
    terminated: np.ndarray  # (T, B)
    ended: np.ndarray  # (T, B) terminated or truncated
    extras: Columns
    episodes: Episodes | None


class Batch(NamedTuple):
    """What a role learns from in one call of the Learners."""

    columns: Mapping[str, Columns]  # by module: rows (n, ...)
    steps: int  # the environment steps in it


class Losses(NamedTuple):
    """The loss of a minibatch."""

    total: torch.Tensor  # what is minimised
    parts: Mapping[str, torch.Tensor]  # what is recorded, by name
    errors: torch.Tensor | None = None  # (n,) of each row, for the priorities of a replay


class Peer(NamedTuple):
    """Another role's module, as a loss may read it."""

    net: Net
    batch: Tensors  # the rows from which it learns, or last learned; none before it learns


class Context:
    """What roles may read where they act and decide, at one step."""

    def __init__(self, loop: Loop, progress: float, generation: float, minds: Minds) -> None:
        self.loop = loop
        self.progress = progress  # the share of the budget used so far, in [0, 1]
        self.generation = generation  # the share of the agents' generation: the same where there is one
        self.minds = minds  # what agents can be asked: values (B, N) and probabilities (B, N, A) of an `AgentView`

    @property
    def game(self) -> Game:
        return self.loop.game

    def rows(self, players: tuple[int, ...]) -> torch.Tensor:
        """What agents see as flat rows (B * P, D)."""
        return _tensor(self._rows.take(players, 1).reshape(-1, self._rows.shape[-1]))

    def noise(self, players: tuple[int, ...]) -> torch.Tensor:
        """Agents' own draws of this step, (B * P,) in [0, 1)."""
        assert self.loop.seen.noise is not None
        return _tensor(self.loop.seen.noise.take(players, 1).ravel())

    def drawn(self, situation: Situation, count: int) -> torch.Tensor:
        """The episodes' own draws for a decision, (B, count) in [0, 1)."""
        return _tensor(situation.noise(count))

    @cached_property
    def _rows(self) -> np.ndarray:
        return rows(self.loop.seen)


class Memory:
    """What a role makes of the rollouts, between the calls of the Learners: by default it reads each once.

    That of agents beside whom others learn by shorter rollouts gathers them to the size of its own.
    """

    takes_errors = False  # whether it is told the errors of what was learned

    def __init__(self, role: Trained, task: Task) -> None:
        self.role, self.task = role, task
        self.waiting: list[Rollout] = []

    def add(self, rollouts: Sequence[Rollout], steps: int, nets: Networks) -> Batch | None:
        """A batch to learn from, after `steps` environment steps in all; None where there is nothing to learn yet."""
        self.waiting += rollouts
        if self.role.plays == "agents":
            environments, length = self.role.rollout_shape
            enough = environments * length * max(1, self.task.resources.runners)
            if sum(each.ended.size for each in self.waiting) < enough:
                return None
        gathered, self.waiting = self.waiting, []
        return self.role.batch_of(self.task, gathered)

    def learned(self, errors: Mapping[str, np.ndarray]) -> None:
        """Take the errors of the batch's rows, by module: where losses give any, and it `takes_errors`."""

    def forget(self) -> None:
        """Drop what was gathered: nothing is learned from it."""
        self.waiting = []


@configuration
class Trained(Optimiser, Role):
    """A role whose networks RLlib trains. A subclass overrides what its algorithm is made of."""

    averaged: ClassVar[bool] = False  # whether targets follow its networks, by `tau` at every gradient step
    sees_peers: ClassVar[bool] = False  # whether its loss reads other modules, and must not move them
    traceable: ClassVar[bool] = False  # whether its `loss` takes the same steps for all minibatches of one shape
    rllib_loss: ClassVar[str] = ""  # "dqn" or "ppo": RLlib's own loss; else the role's `loss` is minimised

    # The task

    def prepared(self, task: Task) -> Task:
        """The task as it is trained: a role may bring a mechanism and a schedule of its own. Raises UsageError."""
        return task

    def roles(self) -> tuple[Trained, ...]:
        """The roles that learn together, in this order: agents first, then the role itself."""
        return (self,)

    def modules(self, game: Game) -> dict[str, tuple[int, ...]]:
        """The modules that learn, each with the agents that it plays: by default one, of all agents or of none."""
        return {"agents": tuple(range(len(game.agents)))} if self.plays == "agents" else {PRINCIPAL: ()}

    def network(self, task: Task) -> Net:
        """The networks of a module."""
        raise NotImplementedError

    def action_space(self, task: Task) -> gym.Space:
        """What a module chooses from, for RLlib's own losses."""
        return gym.spaces.Discrete(len(task.game.action_names))

    @property
    def rollout_shape(self) -> tuple[int, int]:
        """Parallel environments of a runner, and vector steps in a rollout, where the role comes first."""
        raise NotImplementedError

    # At a runner, without gradients. All roles and modules note their columns under names of one space.

    def act(self, net: Net, context: Context, players: tuple[int, ...]) -> Columns:
        """The `actions` (B * P,) of the module's players in `context.loop`, and further columns (B * P, ...)."""
        raise NotImplementedError

    def decide(self, net: Net, context: Context, situation: Situation) -> Decisions:
        """The decisions of a module that plays the principal."""
        raise NotImplementedError

    def before(self, net: Net, context: Context) -> Columns:
        """Columns (B, ...) of a step, noted once its terms are offered."""
        return {}

    def after(self, net: Net, game: Game, step: Step) -> Columns:
        """Columns (B, ...) of a step, noted once it is played."""
        return {}

    def complete(self, nets: Networks, context: Context, rollout: Rollout) -> Columns:
        """Columns (T, B, ...) that are computed from a whole rollout."""
        return {}

    # Learning

    def memory(self, task: Task) -> Memory:
        """What makes batches of the rollouts."""
        return Memory(self, task)

    def batch_of(self, task: Task, rollouts: Sequence[Rollout]) -> Batch:
        """What is learned from rollouts, where they are learned from as they come."""
        raise NotImplementedError

    @property
    def minibatches_and_epochs(self) -> tuple[int, int]:
        """Minibatches, that is gradient steps, in a pass over a batch; and passes."""
        return 1, 1

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        """The loss of a module's minibatch, in pure torch; `peers` are the other modules, if it `sees_peers`.

        Its `parts` are recorded, by the names of the module and the part.
        """
        raise NotImplementedError

    def training(self, task: Task) -> dict[str, object]:
        """RLlib's training settings, as its `AlgorithmConfig.training` takes them; else RLlib's defaults hold."""
        generations = task.phase.generations if self.plays == "agents" else 1
        lr = falling(self.lr, self.lr_final, task.steps, generations)
        return {"gamma": self.discount, "lr": lr, "grad_clip": None, "entropy_coeff": 0.0}

    def frozen(self, weights: Mapping[str, Tensors], task: Task) -> Saved:
        """What was learned, from the weights of its modules; a principal's are the averages, where there are any."""
        raise NotImplementedError

    def learn(self, task: Task) -> Generator[Update, None, Saved]:
        from .rllib.training import train

        return (yield from train(self, task))


def falling(start: float, end: float, steps: int, generations: int = 1) -> list[list[float]]:
    """A schedule that falls linearly over `steps`, anew in each of the `generations`, as RLlib takes it."""
    if generations == 1:
        return [[0, start], [steps, end]]
    each = steps // generations
    begun = range(0, generations * each, max(1, each))
    return [point for t in begun for point in ([t, start], [t + max(1, each - 1), end])]


def flat(rollout: Rollout, columns: Mapping[str, np.ndarray]) -> Columns:
    """Columns (T, B, ...) as rows (T * B, ...)."""
    count = rollout.ended.size
    return {name: column.reshape(count, *column.shape[2:]) for name, column in columns.items()}


def _tensor(array: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(array)
