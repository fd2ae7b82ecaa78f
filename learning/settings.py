"""The settings that learners share; a field's docstring is its help. This module imports neither torch nor RLlib."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..core.config import UsageError, configuration

Encoder = Literal["mlp", "conv", "conv-zeros"]
PlayBy = Literal["greedy", "sampled"]
PaymentsBy = Literal["double", "online", "target"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Widths = tuple[Count, ...]


# Shared settings: a learner's class declares only its differences, and a redeclared default keeps its bounds and help.


@configuration
class Network:
    """The networks of a learner."""

    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution before them (32 filters, 4x4, circular; over classes 16, 3x3);
    conv-zeros: padded by zeros instead. Ivanov et al. 2024 leave the padding open, and a 3x3 board needs one: circular
    padding reads a torus as it is, and gives every cell the same neighbourhood."""
    hidden: Widths = (128, 128)
    """Widths of the dense layers of each network."""


@configuration
class Optimiser:
    """Adam, and the discount."""

    discount: Share = 0.99
    """Discount factor per step."""
    lr: Rate = 1e-3
    """Adam's learning rate at the start ..."""
    lr_final: Rate = 1e-4
    """... and at the end, linear in between."""


@configuration
class ActionValues:
    """Networks of action values, and the targets that they learn."""

    dueling: Annotated[bool, Field(exclude_if=lambda value: value)] = True
    """Whether networks value the state and the advantage of each action (Wang et al. 2016)."""
    double: Annotated[bool, Field(exclude_if=lambda value: value)] = True
    """Whether the online network chooses the next action that the target network values (van Hasselt et al. 2016); else
    the target is the maximum of the target network."""


@configuration
class Replayed:
    """Epsilon-greedy exploration and a replay buffer."""

    epsilon: Share = 0.15
    """Share of random actions at the start ..."""
    epsilon_final: Share = 0.0
    """... and from `exploration_fraction` on."""
    exploration_fraction: Annotated[float, Field(gt=0.0, le=1.0, alias="explore_until")] = 0.5
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = 0.02
    """Step size of the target networks' Polyak averaging, at every gradient step."""
    target_interval: Annotated[Count, Field(exclude_if=lambda value: value == 1)] = 1
    """Gradient steps between the moves of the target networks by `tau`: with `tau` 1 each move is a copy."""
    horizon_terminates: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Whether nothing follows where the horizon cuts an episode; else targets bootstrap through it: without a clock in
    the observation, no network can tell the last step from any other."""
    environments: Count = 64
    """Parallel environments of a runner; there is one gradient step for each vector step."""
    batch: Count = 256
    """Environment steps in a minibatch; a shared policy learns from each agent's row of them."""
    replay: Annotated[int, Field(ge=1000)] = 100_000
    """Capacity of the replay buffer, in environment steps."""
    priority: Share = 0.0
    """Exponent of prioritised replay; 0 is uniform."""
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 16
    """Vector steps, and so gradient steps, per call of the learner."""
    warm_up: Annotated[int, Field(ge=0)] = 5000
    """Environment steps before the first gradient step; a tenth of the budget at most."""


@configuration
class PolicyGradient:
    """A policy gradient with generalised advantages."""

    gae_lambda: Share = 0.95
    """Lambda of generalised advantage estimation (Schulman et al. 2016)."""
    entropy: Annotated[float, Field(ge=0.0)] = 0.01
    """Weight of the entropy bonus; its initial value where there is an `entropy_final`."""


@configuration
class OnPolicy(PolicyGradient):
    """The clipped policy gradient."""

    clip: Rate = 0.2
    """Clipping range of the probability ratio around 1."""


@configuration
class Shared:
    """Whether agents share a network."""

    policies: Literal["shared", "separate"] = "shared"
    """shared: one network plays every agent; separate: one network each."""


@configuration
class Objective:
    """The objective of a principal."""

    alpha: Rate = 0.1
    """The price of money: the principal maximises welfare - alpha * payments, discounted."""
    favour: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Agent i's reward counts (1 - favour)^i in the principal's welfare."""


@configuration
class Resources:
    """The resources of a run besides its own process."""

    runners: int = Field(default=0, ge=0)
    """Remote EnvRunners; with 0 the run's process steps the environments. Each runner adds its own environments to a
    rollout, so there are fewer gradient steps per environment step."""
    learners: int = Field(default=0, ge=0)
    """Remote Learners, which share each minibatch; with 0 the run's process computes the gradients."""
    gpu: bool = False
    """Whether each Learner has a GPU."""

    @property
    def cores(self) -> int:
        """The cores of a run's process and its remote actors."""
        return 1 + self.runners + self.learners

    def check_no_runners(self, who: str) -> None:
        """Raise UsageError for remote runners, of which `who` makes no use: it steps the environments itself."""
        if self.runners:
            raise UsageError(
                f"{who} learns in the process that steps the environments (got {self.runners} remote runners): leave "
                "runners out"
            )

    def check(self, cores: int, gpus: int) -> None:
        """Raise UsageError for more remote actors than `cores`, or learners than `gpus`: they would wait forever."""
        if self.runners + self.learners > cores:
            raise UsageError(
                f"{self.runners} remote runners and {self.learners} remote learners need as many cores, "
                f"and there are {cores}: ask for {cores} or fewer in all"
            )
        if self.gpu and gpus < max(1, self.learners):
            raise UsageError(
                f"a GPU for each learner needs {max(1, self.learners)} of them, and there are {gpus}: "
                "leave gpu out, or ask for fewer learners"
            )
