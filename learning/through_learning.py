"""Whoever learns what to give through the learning of those who receive it: settings, and the loop of both.

In each update agents play a batch of episodes and take a step of their learning by what they earned in it, incentives
included; they play a second batch, and givers climb what they want of it, by the gradient through that step.
`learning/incentives.py` has the gradients.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, Protocol

from pydantic import Field

from ..contracts.episodes import Episodes
from ..contracts.loop import Loop
from ..contracts.mechanism import Decisions
from ..core.checkpoint import Saved
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace
from .role import Role, Task, Update
from .settings import Count, Rate, Share, Widths
from .whole_episodes import played

if TYPE_CHECKING:
    import torch

    from .agents.companions import Companions
    from .incentives import Played, Stack


class Givers(Saved, Protocol):
    """`G` givers, and the agents beside which they learn; what is kept of both decides for `(game, state)`."""

    networks: Stack  # of the givers
    agents: Companions

    def sees(self, loop: Loop) -> torch.Tensor:
        """(G, B, D): what the givers see in the coming step."""

    def decide(self, seen: torch.Tensor) -> Decisions:
        """What they promise where they see so."""

    def given(self, seen: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, T, B) what each agent received, and (G, T, B) what each giver counts as spent, where they saw
        `seen` (G, T, B, D) and agents did `actions` (N, T, B); differentiable in the networks."""

    def wanted(self, rewards: torch.Tensor) -> torch.Tensor:
        """(G, T, B): what givers want of the agents' rewards (N, T, B) from the environment."""

    def moves(self) -> torch.Tensor:
        """(G, N): 1.0 where a giver climbs what it wants by an agent's learning."""


class Given(NamedTuple):
    """Whole episodes, and what givers saw in them."""

    played: Played
    seen: torch.Tensor  # (G, T, B, D)
    finished: list[Episodes]


@configuration
class ThroughLearning(Role):
    """Givers that learn by the effect of what they give on the next step of learning of those who receive it.

    Agents learn by REINFORCE and plain gradient ascent, so that it is known how their step depends on what they were
    given. Fresh agents, that learn by whatever algorithm, then meet what was learned, and it learns no more. Returns
    are counted less their mean over the episodes played together, instead of a critic: there are many of them (ours).
    """

    discount: Share = 0.99
    """Discount factor per step."""
    steps: Count = 500_000
    """Environment steps of its training, those included which agents play after their step."""
    lr: Rate = 0.006
    """Step size of the agents' ascent."""
    incentive_lr: Rate = 0.03
    """Adam's learning rate of what is given."""
    cost: Annotated[float, Field(ge=0.0, allow_inf_nan=False, exclude_if=lambda value: value == 0.0)] = 0.0
    """Weight of what is given in the objective of the incentives."""
    cost_lr: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1e-3
    """Adam's learning rate by which givers learn to give less, in steps beside those of the incentives; 0 for none."""
    entropy: Annotated[float, Field(ge=0.0)] = 0.01
    """Weight of the agents' entropy bonus."""
    epsilon: Share = 0.5
    """Share of the agents' random actions at the start ..."""
    epsilon_final: Share = 0.1
    """... and from `explore_until` on."""
    explore_until: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    environments: Annotated[int, Field(ge=2)] = 32
    """Episodes in a batch, whose mean return is what a return is measured by; every update takes two batches."""
    hidden: Widths = (64, 32)
    """Widths of the dense layers of the agents' networks."""
    incentive_hidden: Widths = (64, 16)
    """Widths of the dense layers of the givers' networks."""

    tuned: ClassVar[SearchSpace] = {
        "lr": Range(5e-4, 0.05, log=True), "incentive_lr": Range(1e-3, 0.1, log=True),
        "cost_lr": Range(1e-5, 1e-2, log=True), "epsilon_final": Range(0.01, 0.3, log=True),
    }  # fmt: skip

    def begin(self, task: Task, agents: Companions) -> Givers:
        """Givers that have learned nothing yet, beside such `agents`."""
        raise NotImplementedError

    def learn(self, task: Task) -> Generator[Update, None, Givers]:
        import torch

        from .agents.companions import Companions, Sight
        from .incentives import Climb, climbed, influence, own_gradients, stack
        from .networks import shape_of

        game, terms = task.game, task.mechanism.terms_size
        shape, N = shape_of(game), len(game.agents)
        policies = stack(N, Sight(shape, terms).width, self.hidden, len(game.action_names), last=0.01)
        givers = self.begin(task, Companions(shape, terms, policies))
        rates = (self.incentive_lr, *(self.cost_lr,) * (self.cost_lr > 0.0))
        optimisers = [torch.optim.Adam(givers.networks, lr=lr) for lr in rates]
        climb = Climb(self.lr, self.discount, self.entropy)
        loop, moves = task.loop(self.environments), givers.moves()
        while loop.steps < task.steps:
            share = min(1.0, loop.steps / (self.explore_until * task.steps))
            epsilon = self.epsilon + share * (self.epsilon_final - self.epsilon)
            before = _played(loop, givers, givers.agents.policies, epsilon)
            received, _ = givers.given(before.seen, before.played.actions)
            after = climbed(givers.agents.policies, before.played, received, epsilon, climb)
            then = _played(loop, givers, [each.detach() for each in after], epsilon)
            wanted = givers.wanted(then.played.rewards)
            objective = (influence(after, then.played, wanted, epsilon, self.discount) * moves).sum(dim=1)
            counts = then.played.counts * self.discount ** torch.arange(len(then.played.counts))[:, None]
            _, given = givers.given(then.seen, then.played.actions)
            spent = (given * counts).sum(dim=(1, 2)) / self.environments
            aims = (objective - self.cost * spent, -spent)[: len(optimisers)]
            directions = [own_gradients(each, givers.networks) for each in aims]
            for optimiser, direction in zip(optimisers, directions, strict=True):
                for part, uphill in zip(givers.networks, direction, strict=True):
                    part.grad = -uphill
                optimiser.step()
            givers.agents.policies = [each.detach().requires_grad_() for each in after]
            episodes = Episodes.joined(before.finished + then.finished)
            losses = {"given": spent.mean().item(), "return": episodes.returns.sum(axis=1).mean()}
            yield Update(loop.steps, task.steps, episodes, losses)
        return givers


def _played(loop: Loop, givers: Givers, policies: Stack, epsilon: float) -> Given:
    """The agents play an episode in every environment by such `policies`, under what the givers promise."""
    from .incentives import Played

    def offer(loop: Loop) -> tuple[torch.Tensor, ...]:
        seen = givers.sees(loop)
        loop.offer(givers.decide(seen))
        return (seen,)

    batch = played(loop, givers.agents, policies, epsilon, offer)
    acted = Played(batch.rows, batch.chosen, batch.rewards, batch.counts)
    return Given(acted, batch.noted[0].transpose(0, 1), batch.finished)
