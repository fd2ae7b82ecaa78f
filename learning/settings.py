"""What can be set of the learners; a field's docstring is its help. This imports neither torch nor RLlib."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..envs.config import configuration

Encoder = Literal["mlp", "conv"]


@configuration
class DQNSettings:
    """Double, dueling deep Q-learning with averaged targets, one policy for all agents unless `policies` says else."""

    policies: Literal["shared", "separate"] = "shared"
    """shared: one network plays every agent; separate: one network each."""
    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution (32 filters, 4x4, circular) before them."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the dense layers."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount a step."""
    lr: float = Field(default=1e-3, gt=0.0)
    """Adam's learning rate at the start ..."""
    lr_final: float = Field(default=1e-4, gt=0.0)
    """... and at the end, linear in between."""
    epsilon: float = Field(default=0.15, ge=0.0, le=1.0)
    """Share of random actions at the start ..."""
    epsilon_final: float = Field(default=0.0, ge=0.0, le=1.0)
    """... and from `explore_until` on."""
    explore_until: float = Field(default=0.5, gt=0.0, le=1.0)
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    n_step: int = Field(default=4, ge=1)
    """Steps of reward before a target bootstraps."""
    tau: float = Field(default=0.02, gt=0.0, le=1.0)
    """How far the target network follows at every gradient step."""
    environments: int = Field(default=64, ge=1)
    """Parallel environments of a runner; each vector step pays for one gradient step."""
    batch: int = Field(default=256, ge=1)
    """Environment steps in a minibatch; a shared policy learns from each agent's row of them."""
    replay: int = Field(default=100_000, ge=1000)
    """Environment steps remembered."""
    priority: float = Field(default=0.0, ge=0.0, le=1.0)
    """Exponent of prioritised replay; 0 is uniform."""
    fragment: int = Field(default=16, ge=1)
    """Vector steps, and so gradient steps, to one call of the learner."""
    warm_up: int = Field(default=5000, ge=0)
    """Environment steps before the first gradient step; a tenth of the budget at most."""


@configuration
class PPOSettings:
    """Clipped policy gradient with generalised advantages, one policy for all agents unless `policies` says else."""

    policies: Literal["shared", "separate"] = "shared"
    """shared: one network plays every agent; separate: one network each."""
    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution (32 filters, 4x4, circular) before them."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the dense layers, of the policy and of the critic."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount a step."""
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    """Of generalised advantage estimation (Schulman et al. 2016)."""
    lr: float = Field(default=1e-3, gt=0.0)
    """Adam's learning rate at the start ..."""
    lr_final: float = Field(default=1e-4, gt=0.0)
    """... and at the end, linear in between."""
    clip: float = Field(default=0.2, gt=0.0)
    """Of the probability ratio."""
    entropy: float = Field(default=0.01, ge=0.0)
    """Weight of the entropy bonus."""
    environments: int = Field(default=128, ge=1)
    """Parallel environments of a runner."""
    fragment: int = Field(default=32, ge=1)
    """Vector steps in a rollout."""
    epochs: int = Field(default=4, ge=1)
    """Passes over each rollout."""
    minibatches: int = Field(default=4, ge=1)
    """Gradient steps in a pass."""


@configuration
class PrincipalSettings:
    """Algorithm 3 of Ivanov et al. 2024: how the principal and its model of the agents are trained."""

    alpha: float = Field(default=0.1, gt=0.0)
    """The price of money: the principal maximises welfare - alpha * payments, discounted."""
    steps: int = Field(default=200_000, ge=1)
    """Environment steps of the principal's own training; apart from the budget of the agents."""
    nudge: float = Field(default=0.0, ge=0.0)
    """Paid on top of the least payment, where one is due."""
    due: float = Field(default=0.0, ge=0.0)
    """The least payment up to which none is due: smaller ones are errors of the value estimates."""
    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution (32 filters, 4x4, circular) before them."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the dense layers of both networks."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount a step."""
    lr: float = Field(default=1e-3, gt=0.0)
    """Adam's learning rate at the start ..."""
    lr_final: float = Field(default=1e-4, gt=0.0)
    """... and at the end, linear in between."""
    epsilon: float = Field(default=0.4, ge=0.0, le=1.0)
    """Share of random actions, recommended or chosen, at the start ..."""
    epsilon_final: float = Field(default=0.02, ge=0.0, le=1.0)
    """... and from `explore_until` on."""
    explore_until: float = Field(default=0.7, gt=0.0, le=1.0)
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    follow: float = Field(default=0.75, ge=0.0, le=1.0)
    """The probability that an agent follows in an episode (f_i = 1)."""
    tau: float = Field(default=0.05, gt=0.0, le=1.0)
    """How far the target networks follow at every gradient step."""
    environments: int = Field(default=64, ge=1)
    """Parallel environments of a runner; each vector step pays for one gradient step."""
    batch: int = Field(default=256, ge=1)
    """Environment steps in a minibatch."""
    replay: int = Field(default=100_000, ge=1000)
    """Environment steps remembered."""
    priority: float = Field(default=0.4, ge=0.0, le=1.0)
    """Exponent of prioritised replay; 0 is uniform."""
    fragment: int = Field(default=16, ge=1)
    """Vector steps, and so gradient steps, to one call of the learner."""
    warm_up: int = Field(default=5000, ge=0)
    """Environment steps before the first gradient step; a tenth of the budget at most."""


ALGORITHMS: dict[str, type[Any]] = {"dqn": DQNSettings, "ppo": PPOSettings}
PRINCIPALS: dict[str, type[Any]] = {"dqn": PrincipalSettings}
