"""An RLlib EnvRunner that plays the loop over `B` environments and returns arrays instead of episode objects."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import gymnasium as gym
import numpy as np
import ray
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.env import INPUT_ENV_SPACES
from ray.rllib.env.env_runner import EnvRunner

from ...contracts.episodes import Episodes
from ...contracts.loop import AgentView, Loop, Minds, Situation, Step, own_view
from ...contracts.mechanism import Decisions
from ...core.arrays import take
from ..features import width
from ..networks import read_each
from ..trained import PRINCIPAL, Col, Columns, Context, Net, Networks, Rollout
from .module import roles_of


class ArrayEnvRunner(EnvRunner):
    """Plays `rollout_fragment_length` steps of `num_envs_per_env_runner` environments at each `sample()`."""

    def __init__(self, *, config: AlgorithmConfig, **kwargs: object) -> None:
        super().__init__(config=config, **kwargs)
        self.roles = roles_of(self.config)
        self.task = self.roles.task
        self.T, self.B = self.config.get_rollout_fragment_length(), self.config.num_envs_per_env_runner
        self.make_module()
        self.make_env()
        self._offer()

    def make_env(self) -> None:
        index = max(self.worker_index or 0, 1) - 1  # runner 0 is the local one, which plays alone
        self.loop = Loop(
            self.task.game, self.task.mechanism, self.B,
            seed=self.task.seed, stream=self.task.phase.stream, first=index * self.B,
            minds=Minds.remembering([*self.task.beside.values()]),
        )  # fmt: skip

    def make_module(self) -> None:
        spec = self.config.get_multi_rl_module_spec(spaces=self.get_spaces(), inference_only=True)
        self.module: MultiRLModule = spec.build()

    def get_spaces(self) -> dict[str, tuple[gym.Space, gym.Space]]:
        space = gym.spaces.Box(-np.inf, np.inf, (width(self.task.game, self.task.mechanism),), np.float32)
        chosen = {name: role.action_space(self.task) for name, role in self.roles.role_of.items()}
        return {name: (space, chosen.get(name, space)) for name in (INPUT_ENV_SPACES, *chosen)}

    def sample(self, **kwargs: object) -> Rollout:
        """(T, B) steps; a new episode begins wherever one ended."""
        with torch.no_grad():  # not RLlib's forward_exploration, which would first switch every layer to evaluation
            return self._sampled(self.T)

    def _sampled(self, T: int) -> Rollout:
        steps: list[Columns] = []
        extras: list[Columns] = []
        finished: Episodes | None = None
        for _ in range(T):
            seen = self.loop.seen
            actions, noted = self.act(self.context)
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
            for name, role in self.roles.role_of.items():
                noted |= role.after(self.net(name), self.task.game, step)
            extras.append(noted)
            if step.episodes is not None:
                finished = step.episodes if finished is None else finished + step.episodes
        rollout = Rollout(**_stacked(steps), extras=_stacked(extras), episodes=finished)
        for role in self.roles.roles:
            rollout.extras.update(role.complete(self.nets, self.context, rollout))
        return rollout

    def act(self, context: Context) -> tuple[np.ndarray, Columns]:
        """The modules' actions (B, N), with exploration, and what their roles note: (B, N, ...) or (B, ...)."""
        found: Columns = {}
        for name, players in self.roles.acting:
            for key, value in self.roles.role_of[name].act(self.net(name), context, players).items():
                part = value.reshape(self.B, len(players), *value.shape[1:])
                whole = found.setdefault(key, np.zeros((self.B, self.loop.N, *part.shape[2:]), part.dtype))
                whole[:, players] = part
        for place, (players, policy) in enumerate(self.task.beside.items()):
            found[Col.ACTIONS][:, players] = policy(own_view(self.loop.seen, place))[:, players]
        for name, role in self.roles.role_of.items():
            found |= role.before(self.net(name), context)
        return found.pop(Col.ACTIONS), found

    @cached_property
    def minds(self) -> Minds:
        """What the agents expect, and with which probabilities they act but for exploration, where networks tell it."""
        own = {name: (self.net(name), players) for name, players in self.roles.acting}

        def told(what: str) -> Callable[[AgentView], np.ndarray] | None:
            if self.task.beside or not all(hasattr(net, what) for net, _ in own.values()):
                return None
            return lambda seen: read_each(seen, own, lambda net, part: getattr(net, what)(part))

        return Minds(told("values"), told("probabilities"))

    @property
    def context(self) -> Context:
        """What roles may read now."""
        progress, generations = self.progress, self.task.phase.generations
        within = progress if generations == 1 else progress * generations % 1
        return Context(self.loop, progress, within, self.minds)

    @property
    def progress(self) -> float:
        """The share of the budget used so far, in [0, 1]."""
        return min(1.0, self.loop.steps * max(1, self.num_workers) / self.task.steps)

    def net(self, name: str) -> Net:
        """The network of a module."""
        return self.module[name].net

    @property
    def nets(self) -> Networks:
        return {name: self.net(name) for name in self.roles.modules}

    def _step(self, actions: np.ndarray) -> Step:
        """Context a step, and offer the terms of the next one."""
        step = self.loop.settle(self.loop.asked(self.loop.play(actions), self.minds))
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
        """The decisions of the role that learns to decide, or of the task's principal; None where none are due."""
        task, role = self.task, self.roles.deciding
        if not task.mechanism.due(situation.memory, len(situation.t)).any():
            return None
        if role is not None:
            with torch.no_grad():
                return role.decide(self.net(PRINCIPAL), self.context, situation)
        return task.principal(task.game, situation.state) if task.principal else None

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


def _stacked(steps: list[Columns]) -> Columns:
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}
