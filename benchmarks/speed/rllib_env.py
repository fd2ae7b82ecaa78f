"""A game for unmodified RLlib: one environment at a time, for its own PPO or DQN, or any algorithm built on it.

    tune.register_env("coins", lambda _: rllib_env("coin_game/ivanov-3x3", mechanism="joint"))
    PPOConfig().environment("coins").multi_agent(policies={"all"}, policy_mapping_fn=lambda *_: "all")

It is the baseline of the array runner, which plays the same loop in many environments at a time.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from ...contracts.loop import Principal
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError
from ...envs.game import Game
from ...views.parallel import Infos, Observations, ParallelView
from ...views.registration import parallel_env


def rllib_env(
    game: str | Game,
    mechanism: str | Mechanism | None = None,
    principal: Principal | None = None,
    **rules: Any,
) -> StockEnv:
    """An RLlib `MultiAgentEnv` over `parallel_env(game, mechanism, principal, **rules)`.

    Raises UsageError for what does not exist or does not fit, and for a principal that is an agent.
    """
    if principal == "agent":
        raise UsageError("principal is 'agent'; here it is None or a function (game, state) -> Decisions")
    return StockEnv(parallel_env(game, mechanism, principal, **rules))


class StockEnv(MultiAgentEnv):
    """A parallel view as RLlib's default networks take it.

    - observation: float32 (D,), the game's observation and then the terms, flat.
    - action, reward, infos: as in the view.
    - end: when nobody is left, `"__all__"` is terminated if all agents were, else truncated. RLlib's own wrapper wants
      all terminated or all truncated, so it never ends an episode in which some are one and some the other.
    """

    def __init__(self, view: ParallelView) -> None:
        self.view = view
        self.possible_agents = list(view.possible_agents)
        self.agents = list(view.possible_agents)
        self.observation_spaces: dict[str, gym.Space[object]] = {
            agent: _flat_space(view.observation_space(agent)) for agent in self.agents
        }
        self.action_spaces = {agent: view.action_space(agent) for agent in self.agents}
        self.observation_space = gym.spaces.Dict(self.observation_spaces)
        self.action_space = gym.spaces.Dict(self.action_spaces)
        super().__init__()

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[dict[str, np.ndarray], Infos]:
        observations, infos = self.view.reset(seed=seed, options=options)
        self.agents = list(self.view.agents)
        return self._flat(observations), infos

    def step(
        self, action_dict: dict[str, object]
    ) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        observations, rewards, terminated, truncated, infos = self.view.step(action_dict)
        self.agents = list(self.view.agents)
        naturally = all(terminated.values())
        terminated["__all__"] = not self.agents and naturally
        truncated["__all__"] = not self.agents and not naturally
        return self._flat(observations), rewards, terminated, truncated, infos

    def render(self) -> np.ndarray | str | None:
        return self.view.render()

    def close(self) -> None:
        self.view.close()

    def _flat(self, observations: Observations) -> dict[str, np.ndarray]:
        return {
            agent: np.asarray(gym.spaces.flatten(self.view.observation_space(agent), seen), np.float32)
            for agent, seen in observations.items()
        }


def _flat_space(space: gym.Space[object]) -> gym.spaces.Box:
    flat = gym.spaces.flatten_space(space)
    assert isinstance(flat, gym.spaces.Box)
    return gym.spaces.Box(flat.low.astype(np.float32), flat.high.astype(np.float32), dtype=np.float32)
