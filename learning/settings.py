"""What can be set of the learners; a field's docstring is its help. This imports neither torch nor RLlib."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ..contracts.margins import Promise
from ..core.config import UsageError, configuration

Encoder = Literal["mlp", "conv"]
Play = Literal["greedy", "sampled"]


@configuration
class DQNSettings:
    """Double, dueling deep Q-learning with averaged targets, one policy for all agents unless `policies` says else."""

    policies: Literal["shared", "separate"] = "shared"
    """shared: one network plays every agent; separate: one network each."""
    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution before them (32 filters, 4x4, circular; over classes 16, 3x3)."""
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
    """mlp: dense layers; conv: one convolution before them (32 filters, 4x4, circular; over classes 16, 3x3)."""
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
    play: Play = "greedy"
    """What evaluated agents do. greedy: what is likeliest; sampled: draw, as they did while they learned."""


@configuration
class FollowSettings:
    """Nobody learns: every agent does as is recommended."""


@configuration
class BestResponseSettings:
    """Nobody learns: the one agent does what is best for itself, by the table of the game and the frozen principal."""


@configuration
class PrincipalSettings(Promise):
    """Algorithm 3 of Ivanov et al. 2024: how the principal and its model of the agents are trained, and it promises."""

    alpha: float = Field(default=0.1, gt=0.0)
    """The price of money: the principal maximises welfare - alpha * payments, discounted."""
    favour: float = Field(default=0.0, ge=0.0, lt=1.0)
    """By which share each agent's rewards count for less to the principal than those of the agent before it."""
    steps: int = Field(default=200_000, ge=1)
    """Environment steps of the principal's own training; apart from the budget of the agents."""
    mirrored: bool = False
    """Whether it learns from all views of a game with symmetries (mirrored, turned), and decides by their mean."""
    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution before them (32 filters, 4x4, circular; over classes 16, 3x3)."""
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


@configuration
class OutcomeSettings:
    """Algorithm 2 of Ivanov et al. 2024: how a principal that sees only outcomes and its model of the agent learn.

    The paper's are two layers of 256, 20,000 gradient steps of 128 rows for 8 environment steps each, targets copied
    every 100; as many environment steps as here, and batches that see each of them several times, leave less noise.
    """

    steps: int = Field(default=1_280_000, ge=1)
    """Environment steps of the principal's own training; apart from the budget of the agents."""
    nudge: float = Field(default=0.0, ge=0.0)
    """By how much an action that is induced is made better for the agent than any other."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the dense layers of both networks."""
    discount: float = Field(default=1.0, ge=0.0, le=1.0)
    """Discount a step."""
    lr: float = Field(default=2e-3, gt=0.0)
    """Adam's learning rate at the start ..."""
    lr_final: float = Field(default=1e-5, gt=0.0)
    """... and at the end, linear in between."""
    epsilon: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of random actions at the start ..."""
    epsilon_final: float = Field(default=0.2, ge=0.0, le=1.0)
    """... and from `explore_until` on."""
    explore_until: float = Field(default=1.0, gt=0.0, le=1.0)
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """How far the target networks follow at every gradient step."""
    environments: int = Field(default=256, ge=1)
    """Parallel environments of a runner; each vector step pays for one gradient step."""
    batch: int = Field(default=2048, ge=1)
    """Environment steps in a minibatch."""
    replay: int = Field(default=1_280_000, ge=1000)
    """Environment steps remembered: by default all, since none is ever out of date."""
    priority: float = Field(default=0.0, ge=0.0, le=1.0)
    """Exponent of prioritised replay; 0 is uniform."""
    fragment: int = Field(default=20, ge=1)
    """Vector steps, and so gradient steps, to one call of the learner."""
    warm_up: int = Field(default=5000, ge=0)
    """Environment steps before the first gradient step; a tenth of the budget at most."""


@configuration
class RatesSettings:
    """A principal that learns rates by PPO, beside the agents that it pays and that learn by PPO too."""

    alpha: float = Field(default=0.1, gt=0.0)
    """The price of money: the principal maximises the sum of welfare / alpha - payments over an episode."""
    steps: int = Field(default=1_000_000, ge=1)
    """Environment steps of the principal's own training; apart from the budget of the agents that are trained anew."""
    offers: Literal["same", "each"] = "same"
    """same: one rate for each fact, offered to every agent; each: every agent has rates of its own."""
    rungs: int = Field(default=11, ge=2)
    """Rates to choose from, evenly from 0 to the highest."""
    encoder: Encoder = "mlp"
    """mlp: dense layers; conv: one convolution before them, over the map of the whole game."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the dense layers, of the policy and of the critic."""
    discount: float = Field(default=1.0, ge=0.0, le=1.0)
    """Discount a step; the episode's end is the end, so there may be none."""
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    """Of generalised advantage estimation, from decision to decision."""
    lr: float = Field(default=1e-3, gt=0.0)
    """Adam's learning rate at the start ..."""
    lr_final: float = Field(default=1e-4, gt=0.0)
    """... and at the end, linear in between."""
    clip: float = Field(default=0.2, gt=0.0)
    """Of the probability ratio."""
    entropy: float = Field(default=0.01, ge=0.0)
    """Weight of the entropy bonus at the start ..."""
    entropy_final: float = Field(default=0.0, ge=0.0)
    """... and at the end, linear in between."""
    generations: int = Field(default=2, ge=1)
    """How often agents begin anew, for equal parts of the budget: it is fresh agents that it is to pay."""
    wait: float = Field(default=0.4, ge=0.0, lt=1.0)
    """The share of each generation in which the principal stands still, while the agents learn to answer its rates."""
    batch: int = Field(default=128, ge=1)
    """Decisions in one update of the principal, at least: it learns more slowly than the agents do."""
    agents: PPOSettings = Field(default_factory=PPOSettings)
    """Of the agents beside it, and of how many environments, epochs and minibatches there are for both."""


@configuration
class ExactSettings:
    """A principal that is solved for and not learned: stationary, subgame-perfect, with least payments."""

    against: Literal["recommended", "any"] = "recommended"
    """What a payment makes best against: the others' recommended actions, or any of theirs (dominant strategies)."""
    nudge: float = Field(default=0.0, ge=0.0)
    """Paid on top of the least payment, where one is due."""
    stake: float = Field(default=0.0, ge=0.0)
    """By which share of the welfare that an action would lose following is made better than it for the agent."""
    alpha: float = Field(default=0.1, gt=0.0)
    """The price of money: the principal maximises welfare - alpha * payments, discounted."""
    favour: float = Field(default=0.0, ge=0.0, lt=1.0)
    """By which share each agent's rewards count for less to the principal than those of the agent before it."""
    discount: float = Field(default=0.99, gt=0.0, lt=1.0)
    """Discount a step."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stake and self.against == "any":
            raise ValueError("a stake is a margin over least payments against what is recommended, not against any")
        return self


@configuration
class Resources:
    """What a run may use beside the process it runs in."""

    runners: int = Field(default=0, ge=0)
    """Remote EnvRunners; with 0 the environments are played in the run's process. Each adds its own environments to a
    rollout, so there are fewer gradient steps to an environment step."""
    learners: int = Field(default=0, ge=0)
    """Remote Learners, which share each minibatch; with 0 the gradients are computed in the run's process."""
    gpu: bool = False
    """Whether each Learner has a GPU."""

    @property
    def cores(self) -> int:
        """Of a run's process and its remote actors."""
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
ALGORITHMS: dict[str, type[Any]] = {
    "dqn": DQNSettings, "ppo": PPOSettings, "follow": FollowSettings, "best-response": BestResponseSettings,
}  # fmt: skip
PRINCIPALS: dict[str, type[Any]] = {
    "dqn": PrincipalSettings, "outcome-dqn": OutcomeSettings, "ppo": RatesSettings, "exact": ExactSettings,
}  # fmt: skip
