"""An RLlib EnvRunner that plays the loop over `B` environments and returns arrays instead of episode objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import ray
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_RL_MODULE, Columns
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.env import INPUT_ENV_SPACES
from ray.rllib.env.env_runner import EnvRunner

from ...contracts.episodes import Episodes
from ...contracts.loop import AgentView, Loop, Principal, Situation, Step
from ...contracts.mechanism import Decisions, Mechanism
from ...core.arrays import take
from ...envs.game import Game
from ..features import rows, width

STREAMS = TRAIN, VALIDATE, EVALUATE = (0, 1, 2)  # streams of keys: no phase sees another's episodes
REPLAY, ORDERS = 4, 5  # streams of what is drawn for learning; 3 is that of the starts at which contracts are signed

ModuleBatch = dict[str, torch.Tensor]  # column: (n, ...)


@dataclass(frozen=True)
class Task:
    """The task of an algorithm: the part of its configuration that RLlib carries as `env_config`.

    Not a NamedTuple: Tune takes those apart where they stand in a parameter space.
    """

    game: Game
    mechanism: Mechanism
    principal: Principal | None
    players: dict[str, tuple[int, ...]]  # module id: the agents that it plays
    stream: int
    steps: int  # the budget in environment steps, over which schedules run


class Rollout(NamedTuple):
    """`T` steps of `B` environments. `extras` holds the modules' other outputs, (T, B, N, ...), and the runner's
    extra columns, (T, B, ...)."""

    observations: np.ndarray  # (T, B, N, *observation)
    terms: np.ndarray  # (T, B, N, K)
    actions: np.ndarray  # (T, B, N)
    rewards: np.ndarray  # (T, B, N) the environment's alone
    earned: np.ndarray  # (T, B, N) with the mechanism's income: what the agents learn from
    next_observations: np.ndarray  # (T, B, N, *observation) before any reset
    next_terms: np.ndarray  # (T, B, N, K)
    terminated: np.ndarray  # (T, B)
    ended: np.ndarray  # (T, B) terminated or truncated
    extras: dict[str, np.ndarray]
    episodes: Episodes | None


class ArrayEnvRunner(EnvRunner):
    """Plays `rollout_fragment_length` steps of `num_envs_per_env_runner` environments at each `sample()`."""

    def __init__(self, *, config: AlgorithmConfig, **kwargs: object) -> None:
        super().__init__(config=config, **kwargs)
        self.task: Task = self.config.env_config["task"]
        self.T, self.B = self.config.get_rollout_fragment_length(), self.config.num_envs_per_env_runner
        self.make_module()
        self.make_env()
        self._offer()

    def make_env(self) -> None:
        index = max(self.worker_index or 0, 1) - 1  # runner 0 is the local one, which plays alone
        self.loop = Loop(
            self.task.game, self.task.mechanism, self.B,
            seed=self.config.seed or 0, stream=self.task.stream, first=index * self.B,
        )  # fmt: skip

    def make_module(self) -> None:
        spec = self.config.get_multi_rl_module_spec(spaces=self.get_spaces(), inference_only=True)
        self.module: MultiRLModule = spec.build()

    def get_spaces(self) -> dict[str, tuple[gym.Space, gym.Space]]:
        space = gym.spaces.Box(-np.inf, np.inf, (width(self.task.game, self.task.mechanism),), np.float32)
        actions: gym.Space = gym.spaces.Discrete(len(self.task.game.action_names))
        return dict.fromkeys((INPUT_ENV_SPACES, *self.task.players), (space, actions))

    def sample(self, **kwargs: object) -> Rollout:
        """(T, B) steps; a new episode begins wherever one ended."""
        return self._play(self.T)

    def _play(self, T: int) -> Rollout:
        steps: list[dict[str, np.ndarray]] = []
        extras: list[dict[str, np.ndarray]] = []
        finished: Episodes | None = None
        for _ in range(T):
            seen = self.loop.seen
            actions, outputs = self.act(seen)
            step = self._step(actions)
            following = self._following(step)
            steps.append(
                {
                    "observations": seen.observations,
                    "terms": seen.terms,
                    "actions": actions,
                    "rewards": step.transition.rewards,
                    "earned": step.earned,
                    "next_observations": following.observations,
                    "next_terms": following.terms,
                    "terminated": step.transition.terminated,
                    "ended": step.ended,
                }
            )
            extras.append({**outputs, **self.extra_columns(step)})
            if step.episodes is not None:
                finished = step.episodes if finished is None else finished + step.episodes
        return Rollout(**_stacked(steps), extras=_stacked(extras), episodes=finished)

    def _step(self, actions: np.ndarray) -> Step:
        """Play a step, and offer the terms of the next one."""
        transition = self.loop.play(actions)
        if self.task.mechanism.needs_values:
            transition = self.loop.valued(transition, self._values)
        step = self.loop.settle(transition)
        self._offer()
        return step

    def _offer(self) -> None:
        if self.task.mechanism.principal:
            self.loop.offer(self._decisions(self.loop.situation))

    def _following(self, step: Step) -> AgentView:
        """The agents' view after a step; where an episode is truncated, with the terms of the next step."""
        cut = step.transition.truncated
        if not (cut.any() and self.task.mechanism.principal):
            return self.loop.following(step, cut)
        return self.loop.following(step, cut, self._decisions(take(step.after, cut)))

    def _decisions(self, situation: Situation) -> Decisions | None:
        mechanism = self.task.mechanism
        due = mechanism.due(situation.memory, len(situation.t)).any()
        return self.decide(situation) if due else None

    def decide(self, situation: Situation) -> Decisions | None:
        """The principal's decisions: the task's frozen principal, unless a subclass learns one."""
        principal = self.task.principal
        return principal(self.task.game, situation.state) if principal else None

    def act(self, seen: AgentView) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The modules' actions (B, N), with exploration, and their other outputs, each (B, N, ...)."""
        flat = rows(seen)
        B, N, D = flat.shape
        assert seen.noise is not None
        found: dict[str, np.ndarray] = {}
        for name, players in self.task.players.items():
            batch: ModuleBatch = {
                Columns.OBS: torch.from_numpy(flat.take(players, 1).reshape(-1, D)),
                "progress": torch.tensor(self.progress, dtype=torch.float64),
                "noise": torch.from_numpy(seen.noise.take(players, 1).ravel()),
            }
            with torch.no_grad():  # RLlib's forward_exploration would first switch every layer to evaluation
                outputs = self.module[name]._forward_exploration(batch)
            for key, value in outputs.items():
                part = value.numpy()
                whole = found.setdefault(key, np.empty((B, N, *part.shape[1:]), part.dtype))
                whole[:, players] = part.reshape(B, len(players), *part.shape[1:])
        return found.pop(Columns.ACTIONS), found

    def _values(self, seen: AgentView) -> np.ndarray:
        """Each agent's value estimate (B, N), by the module that plays it."""
        flat = rows(seen)
        values = np.empty(flat.shape[:2], np.float32)
        for name, players in self.task.players.items():
            batch = {Columns.OBS: torch.from_numpy(flat.take(players, 1).reshape(-1, flat.shape[-1]))}
            with torch.no_grad():
                values[:, players] = self.module[name].compute_values(batch).numpy().reshape(len(flat), -1)
        return values

    def extra_columns(self, step: Step) -> dict[str, np.ndarray]:
        """Extra columns of a step, each (B, ...); a subclass overrides this."""
        return {}

    @property
    def progress(self) -> float:
        """The share of the budget used so far, in [0, 1]."""
        return min(1.0, self.loop.steps * max(1, self.num_workers) / self.task.steps)

    def get_state(self, *args: object, **kwargs: object) -> dict[str, object]:
        return {COMPONENT_RL_MODULE: self.module.get_state()}

    def set_state(self, state: dict[str, object]) -> None:
        if COMPONENT_RL_MODULE in state:
            weights = state[COMPONENT_RL_MODULE]  # RLlib sends remote runners a reference at the start
            self.module.set_state(ray.get(weights) if isinstance(weights, ray.ObjectRef) else weights)

    def get_metrics(self) -> dict[str, object]:
        return self.metrics.reduce()

    def assert_healthy(self) -> None:
        assert self.module is not None


def _stacked(steps: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}
