"""A game as stock RLlib plays it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, parallel_env
from paymaster.benchmarks.speed.rllib_env import StockEnv, rllib_env

from ..envs.plain_game import PlainGame

ID = "coin_game/ivanov-3x3"


def test_observations_are_flat_floats_and_then_the_terms() -> None:
    stock, view = rllib_env(ID, "drawn-contract"), parallel_env(ID, "drawn-contract")
    observations, _ = stock.reset(seed=3)
    seen, _ = view.reset(seed=3)
    for agent in ("red", "blue"):
        assert stock.observation_spaces[agent].contains(observations[agent])
        np.testing.assert_array_equal(observations[agent][:36], seen[agent]["observation"].ravel())
        np.testing.assert_array_equal(observations[agent][36:], seen[agent]["terms"])


def test_an_episode_is_the_views_and_ends_when_nobody_is_left() -> None:
    stock, view = rllib_env(ID, "joint"), parallel_env(ID, "joint")
    stock.reset(seed=3)
    view.reset(seed=3)
    for step in range(20):
        actions = {"red": step % 4, "blue": step % 3}
        _, rewards, terminated, truncated, infos = stock.step(actions)
        _, expected, _, _, parts = view.step(actions)
        assert (rewards, infos) == (expected, parts)
        assert not terminated["__all__"]
        assert truncated["__all__"] == (step == 19)
    assert stock.agents == []


class Parted:
    """A view in which one agent terminates while the other is truncated."""

    possible_agents = ("one", "two")

    def __init__(self) -> None:
        self.view = parallel_env(PlainGame())
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        return self.view.observation_space("agent_0")

    def action_space(self, agent: str) -> Any:
        return self.view.action_space("agent_0")

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        zeros = {agent: np.zeros(2, np.float32) for agent in actions}
        ends = {"one": True, "two": False}, {"one": False, "two": True}
        return zeros, dict.fromkeys(actions, 0.0), *ends, {agent: {} for agent in actions}


def test_one_terminated_and_the_other_truncated_is_an_end() -> None:
    _, _, terminated, truncated, _ = StockEnv(Parted()).step({"one": 0, "two": 0})  # type: ignore[arg-type]
    assert (terminated["__all__"], truncated["__all__"]) == (False, True)


def test_a_natural_end_terminates() -> None:
    stock = rllib_env(PlainGame())
    stock.reset(seed=0)
    _, _, terminated, truncated, _ = stock.step({"agent_0": 3, "agent_1": 3})
    assert (terminated["__all__"], truncated["__all__"]) == (True, False)


def test_a_principal_that_is_an_agent_is_refused() -> None:
    with pytest.raises(UsageError, match="principal is 'agent'"):
        rllib_env(ID, "principal-dqn", "agent")  # type: ignore[arg-type]


@pytest.mark.slow
def test_stock_ppo_trains_on_it() -> None:
    import ray
    from ray import tune
    from ray.rllib.algorithms.ppo import PPOConfig

    tune.register_env("stock-coins", lambda _: rllib_env(ID, "drawn-contract"))
    config = (
        PPOConfig()
        .environment("stock-coins")
        .env_runners(num_env_runners=0)
        .multi_agent(policies={"all"}, policy_mapping_fn=lambda *_: "all")
        .training(train_batch_size_per_learner=400, minibatch_size=128, num_epochs=1)
    )
    ray.init(num_cpus=2, include_dashboard=False, ignore_reinit_error=True)
    try:
        algorithm = config.build_algo()
        result = algorithm.train()
        assert result["env_runners"]["num_episodes_lifetime"] >= 10
        assert np.isfinite(result["learners"]["all"]["total_loss"])
        algorithm.stop()
    finally:
        ray.shutdown()
