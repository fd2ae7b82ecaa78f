"""The settings of the learners; a field's docstring is its help. This module imports neither torch nor RLlib."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..contracts.margins import PaymentMargins
from ..core.config import UsageError, configuration

Encoder = Literal["mlp", "conv"]
Play = Literal["greedy", "sampled"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0.0)]


# Shared settings: a learner's class declares only its differences, and a redeclared default keeps its bounds and help.


@configuration
class Network:
    """The networks of a learner."""

    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution before them (32 filters, 4x4, circular; over classes 16, 3x3)."""
    hidden: tuple[int, ...] = (128, 128)
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
class OnPolicy:
    """The clipped policy gradient with generalised advantages."""

    gae_lambda: Share = 0.95
    """Lambda of generalised advantage estimation (Schulman et al. 2016)."""
    clip: Rate = 0.2
    """Clipping range of the probability ratio around 1."""
    entropy: Annotated[float, Field(ge=0.0)] = 0.01
    """Weight of the entropy bonus; its initial value where there is an `entropy_final`."""


@configuration
class Shared:
    """Whether agents share a network."""

    policies: Literal["shared", "separate"] = "shared"
    """shared: one network plays every agent; separate: one network each."""


@configuration
class DQNSettings(Shared, Network, Optimiser, Replayed):
    """Double, dueling deep Q-learning with averaged targets, with one policy for all agents by default."""

    n_step: Count = 4
    """Steps of reward before a target bootstraps."""


@configuration
class PPOSettings(Shared, Network, Optimiser, OnPolicy):
    """Clipped policy gradient with generalised advantages, with one policy for all agents by default."""

    environments: Count = 128
    """Parallel environments of a runner."""
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 32
    """Vector steps in a rollout."""
    epochs: Count = 4
    """Passes over each rollout."""
    minibatches: Count = 4
    """Gradient steps in a pass."""
    play: Play = "greedy"
    """Play in the evaluation. greedy: the most probable action; sampled: draw from the policy, as in training."""


@configuration
class FollowSettings:
    """Nobody learns: every agent follows the recommendation."""


@configuration
class BestResponseSettings:
    """Nobody learns: the one agent plays its best response, by the table of the game and the frozen principal."""


@configuration
class Objective:
    """The objective of a principal."""

    alpha: Rate = 0.1
    """The price of money: the principal maximises welfare - alpha * payments, discounted."""
    favour: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Agent i's reward counts (1 - favour)^i in the principal's welfare."""


@configuration
class PrincipalSettings(PaymentMargins, Objective, Network, Optimiser, Replayed):
    """Algorithm 3 of Ivanov et al. 2024: training of the principal and its model of the agents, and its payments."""

    steps: Count = 200_000
    """Environment steps of the principal's own training; not part of the agents' budget."""
    mirrored: bool = False
    """Whether it learns from all symmetric views of a game (mirrored, rotated), and decides by their mean."""
    follow: Share = 0.75
    """The probability that an agent follows in an episode (f_i = 1)."""
    epsilon: Share = 0.4
    epsilon_final: Share = 0.02
    exploration_fraction: Annotated[float, Field(gt=0.0, le=1.0, alias="explore_until")] = 0.7
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    priority: Share = 0.4


@configuration
class OutcomeSettings(Optimiser, Replayed):
    """Algorithm 2 of Ivanov et al. 2024: training of a principal that sees only outcomes, and its model of the agent.

    The paper's are two layers of 256, 20,000 gradient steps of 128 rows for 8 environment steps each, targets copied
    every 100; as many environment steps as here, and batches that see each of them several times, leave less noise.
    """

    steps: Count = 1_280_000
    """Environment steps of the principal's own training; not part of the agents' budget."""
    margin: Annotated[float, Field(ge=0.0, alias="nudge")] = 0.0
    """The margin by which the induced action is better for the agent than any other."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the dense layers of both networks."""
    discount: Share = 1.0
    lr: Rate = 2e-3
    lr_final: Rate = 1e-5
    epsilon: Share = 1.0
    epsilon_final: Share = 0.2
    exploration_fraction: Annotated[float, Field(gt=0.0, le=1.0, alias="explore_until")] = 1.0
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    environments: Count = 256
    batch: Count = 2048
    replay: Annotated[int, Field(ge=1000)] = 1_280_000
    """Capacity of the replay buffer, in environment steps: by default all, since no transition becomes outdated."""
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 20


@configuration
class RatesSettings(Network, Optimiser, OnPolicy):
    """A principal that learns rates by PPO while the agents that it pays learn by PPO too."""

    alpha: Rate = 0.1
    """The price of money: the principal maximises the sum of welfare / alpha - payments over an episode."""
    steps: Count = 1_000_000
    """Environment steps of the principal's own training; not part of the budget of the agents trained afterwards."""
    offers: Literal["same", "each"] = "same"
    """same: one rate for each fact, offered to every agent; each: every agent has rates of its own."""
    rungs: Annotated[int, Field(ge=2)] = 11
    """The number of rates to choose from, evenly spaced from 0 to the highest."""
    discount: Share = 1.0
    """Discount factor per step; 1 is allowed, since the horizon terminates the principal's episode."""
    entropy_final: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of the entropy bonus at the end, linear in between."""
    generations: Count = 2
    """How often the agents restart, after equal parts of the budget: the principal will pay fresh agents."""
    burn_in: Annotated[float, Field(ge=0.0, lt=1.0, alias="wait")] = 0.4
    """The share of each generation in which only the agents learn, to respond to the principal's rates."""
    batch: Count = 128
    """The least number of decisions in an update of the principal: it learns more slowly than the agents."""
    agents: PPOSettings = Field(default_factory=PPOSettings)
    """The settings of its agents; the environments, epochs and minibatches hold for both."""


@configuration
class ExactSettings(Objective):
    """A principal that is solved and not learned: stationary, subgame-perfect, with least payments."""

    against: Literal["recommended", "any"] = "recommended"
    """What following is a best response to: the others' recommended actions, or any of theirs (dominant strategies)."""
    margin: Annotated[float, Field(ge=0.0, alias="nudge")] = 0.0
    """Payment on top of the least payment, where one is due."""
    proportional_margin: Annotated[float, Field(ge=0.0, alias="stake")] = 0.0
    """Following is better than each other action by this share of the welfare that the action would lose."""
    discount: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.99
    """Discount factor per step."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.proportional_margin and self.against == "any":
            raise ValueError("a stake is a margin over least payments against what is recommended, not against any")
        return self


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


AgentSettings = DQNSettings | PPOSettings | FollowSettings | BestResponseSettings
AnyPrincipalSettings = PrincipalSettings | OutcomeSettings | RatesSettings | ExactSettings
ALGORITHMS: dict[str, type[AgentSettings]] = {
    "dqn": DQNSettings, "ppo": PPOSettings, "follow": FollowSettings, "best-response": BestResponseSettings,
}  # fmt: skip
PRINCIPALS: dict[str, type[AnyPrincipalSettings]] = {
    "dqn": PrincipalSettings, "outcome-dqn": OutcomeSettings, "ppo": RatesSettings, "exact": ExactSettings,
}  # fmt: skip
