"""Our PPO and DQN over arrays reach what RLlib's own reach on the same game, steps, network and settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray import tune
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from scipy import stats

from paymaster import make, make_mechanism
from paymaster.benchmarks.speed.rllib_env import rllib_env
from paymaster.contracts.loop import AgentView, Simulation
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.features import rows
from paymaster.learning.phases import evaluate, train_agents

GAME, SEEDS, HIDDEN = "coin_game/ivanov-3x3", (100, 101, 102), (64, 64)
MARGIN = 0.5  # of a welfare of 13.90 at the optimum: about the spread over seeds
PPO_STEPS, DQN_STEPS = 60_000, 20_000
"""Few enough that neither is at the optimum, where every learner looks alike."""


def stock_ppo() -> AlgorithmConfig:
    return PPOConfig().training(
        lr=1e-3, gamma=0.99, lambda_=0.95, clip_param=0.2, entropy_coeff=0.01, vf_loss_coeff=0.5,
        vf_clip_param=float("inf"), use_kl_loss=False, grad_clip=0.5, grad_clip_by="global_norm",
        train_batch_size_per_learner=1024, minibatch_size=512, num_epochs=4,
    )  # fmt: skip


def stock_dqn() -> AlgorithmConfig:
    return (
        DQNConfig()
        .training(
            lr=1e-3, gamma=0.99, double_q=True, dueling=True, num_atoms=1, n_step=1, td_error_loss_fn="huber",
            grad_clip=10.0, grad_clip_by="global_norm", epsilon=[[0, 0.4], [DQN_STEPS // 2, 0.0]],
            train_batch_size_per_learner=128, target_network_update_freq=16, tau=0.05, training_intensity=8,
            num_steps_sampled_before_learning_starts=1000,
            replay_buffer_config={"type": "MultiAgentEpisodeReplayBuffer", "capacity": 20_000},
        )
    )  # fmt: skip


def theirs(config: AlgorithmConfig, seed: int, steps: int) -> float:
    """The welfare of greedy play after RLlib's own algorithm trained for `steps` environment steps."""
    game = make(GAME, observation="egocentric")
    mechanism = make_mechanism("joint", game)
    tune.register_env("paymaster-parity", lambda _: rllib_env(game, mechanism))
    config = (
        config.environment("paymaster-parity")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=16)
        .multi_agent(policies={"agents"}, policy_mapping_fn=lambda *_: "agents")
        .rl_module(
            model_config=DefaultModelConfig(
                fcnet_hiddens=list(HIDDEN), fcnet_activation="relu", vf_share_layers=False, head_fcnet_hiddens=[]
            )
        )
        .debugging(seed=seed, log_level="ERROR")
    )
    algorithm = config.build_algo()
    sampled = 0
    while sampled < steps:
        sampled = algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"]
    module = algorithm.get_module("agents")

    def act(seen: AgentView) -> np.ndarray:
        flat = rows(seen)
        with torch.no_grad():
            said = module.forward_inference({"obs": torch.from_numpy(flat.reshape(-1, flat.shape[-1]))})
        greedy = said["actions"] if "actions" in said else said["action_dist_inputs"].argmax(dim=-1)
        return greedy.numpy().reshape(flat.shape[:2])

    welfare = played(game, mechanism, act, seed)
    algorithm.stop()
    return welfare


def played(game: Any, mechanism: Any, act: Callable[[AgentView], np.ndarray], seed: int) -> float:
    loop = Simulation(game, mechanism, 512, seed=seed, stream=2)
    while True:
        step = loop.step(act(loop.seen))
        if step.episodes is not None:
            return float(step.episodes.returns.sum(axis=1).mean())


def ours(settings: DQN | PPO, seed: int, steps: int) -> float:
    game = make(GAME, observation="egocentric")
    mechanism = make_mechanism("joint", game)
    with train_agents(game, mechanism, None, settings, seed=seed, steps=steps) as phase:
        for _ in phase:
            pass
        policy = phase.result()
    return float(evaluate(game, mechanism, None, policy, seed=seed, episodes=512).returns.sum(axis=1).mean())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Overriding environment rllib")
@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_arrays_reach_the_welfare_of_stock_rllib(algorithm: str) -> None:
    ray.init(num_cpus=2, include_dashboard=False, ignore_reinit_error=True, log_to_driver=False)
    if algorithm == "ppo":
        settings: Any = PPO(
            hidden=HIDDEN, environments=16, fragment=64, minibatches=4, epochs=4, lr=1e-3, lr_final=1e-3
        )
        stock, steps = stock_ppo, PPO_STEPS
    else:
        settings = DQN(
            hidden=HIDDEN, environments=16, fragment=16, batch=64, lr=1e-3, lr_final=1e-3, epsilon=0.4,
            tau=0.05, n_step=1, warm_up=1000, replay=20_000,
        )  # fmt: skip
        stock, steps = stock_dqn, DQN_STEPS
    reached = np.array([ours(settings, seed, steps) for seed in SEEDS])
    wanted = np.array([theirs(stock(), seed, steps) for seed in SEEDS])
    interval = stats.ttest_ind(reached, wanted, equal_var=False).confidence_interval()
    print(f"{algorithm}: ours {reached.round(2)}, RLlib's {wanted.round(2)}, difference in {interval}")
    assert reached.mean() >= wanted.mean() - MARGIN
