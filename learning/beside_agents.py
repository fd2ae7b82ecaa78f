"""Whoever learns by policy gradients beside agents that learn too: settings, and the loop of both.

Agents are actor-critics that play whole episodes from their starts. Whoever decides notes what it will need and learns
from what the agents did and earned in them, as they do; nobody sees the others' step coming.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

from pydantic import Field

from ..contracts.episodes import Episodes
from ..contracts.loop import Loop
from ..core.checkpoint import Saved
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace
from .role import Role, Task, Update
from .settings import Count, Rate, Share, Widths
from .whole_episodes import Batch, played

if TYPE_CHECKING:
    import torch

    from .agents.companions import Companions

SMALLEST = 1e-6  # a deviation of returns, below which they are all the same


class Decider(Protocol):
    """Who decides, while it learns."""

    @property
    def random(self) -> torch.Tensor | None:
        """(A,) the probabilities of the agents' random actions; None where they are even."""

    @property
    def kept(self) -> Saved:
        """What is learned."""

    def offer(self, loop: Loop) -> tuple[torch.Tensor, ...]:
        """Offer the terms of the coming step, and say what to note of it, (B, ...) each. No gradient is needed."""

    def learn(self, batch: Batch, earned: torch.Tensor, epsilon: float, entropy: float) -> dict[str, float]:
        """One step on a batch in which agents had the advantages `earned` (N, T, B), and its losses by name."""


@configuration
class BesideAgents(Role):
    """Who decides by what it learns beside learning agents. Fresh agents, that learn by whatever algorithm, meet it."""

    discount: Share = 0.99
    """Discount factor per step."""
    steps: Count = 400_000
    """Environment steps of its training."""
    lr: Rate = 3e-3
    """Adam's learning rate of who decides."""
    agents_lr: Rate = 3e-3
    """Adam's learning rate of its agents."""
    entropy: Annotated[float, Field(ge=0.0)] = 0.1
    """Weight of everybody's entropy bonus at the start ..."""
    entropy_final: Annotated[float, Field(ge=0.0)] = 0.01
    """... and at the end, linear in between."""
    epsilon: Share = 1.0
    """Share of the agents' random actions at the start ..."""
    epsilon_final: Share = 0.1
    """... and from `explore_until` on."""
    explore_until: Annotated[float, Field(gt=0.0, le=1.0)] = 0.3
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    gae_lambda: Share = 0.9
    """Lambda of generalised advantage estimation (Schulman et al. 2016)."""
    environments: Count = 64
    """Episodes in a batch."""
    hidden: Widths = (64, 32)
    """Widths of the dense layers of each network."""

    tuned: ClassVar[SearchSpace] = {
        "lr": Range(3e-4, 0.03, log=True), "agents_lr": Range(3e-4, 0.03, log=True),
        "entropy": Range(0.01, 0.5, log=True),
    }  # fmt: skip

    def begin(self, task: Task, agents: Companions) -> Decider:
        """Who has learned nothing yet, beside such `agents`."""
        raise NotImplementedError

    def learn(self, task: Task) -> Generator[Update, None, Saved]:
        import torch

        from .agents.companions import Companions, Sight
        from .incentives import log_chances, outputs, stack
        from .networks import shape_of

        game, terms = task.game, task.mechanism.terms_size
        shape, N, loop = shape_of(game), len(game.agents), task.loop(self.environments)
        width = Sight(shape, terms).width
        agents = Companions(shape, terms, stack(N, width, self.hidden, len(game.action_names), last=0.01))
        decider = self.begin(task, agents)
        critics = stack(N, width, self.hidden, 1)
        optimiser = torch.optim.Adam([*agents.policies, *critics], lr=self.agents_lr)
        while loop.steps < task.steps:
            entropy = self.entropy + loop.steps / task.steps * (self.entropy_final - self.entropy)
            explored = min(1.0, loop.steps / (self.explore_until * task.steps))
            epsilon = self.epsilon + explored * (self.epsilon_final - self.epsilon)
            batch = played(loop, agents, agents.policies, epsilon, decider.offer, decider.random)
            values = outputs(critics, batch.rows.flatten(1, 2)).reshape(batch.rewards.shape)
            earned = self.advantages(batch.rewards, values.detach(), batch.counts, batch.cut)
            missed = ((values - values.detach() - earned).square() * batch.counts).sum() / batch.counts.sum()
            earned = scaled(earned, batch.counts)
            own = log_chances(agents.policies, batch.rows, epsilon, decider.random)
            taken = own.gather(-1, batch.chosen[..., None]).squeeze(-1)
            spread = -(own.exp() * own).sum(dim=-1)
            climbed = ((taken * earned + entropy * spread) * batch.counts).sum() / batch.counts.sum()
            losses = decider.learn(batch, earned, epsilon, entropy)
            climb(optimiser, climbed - missed)
            episodes = Episodes.joined(batch.finished)
            yield Update(loop.steps, task.steps, episodes, {**losses, "return": episodes.returns.sum(axis=1).mean()})
        return decider.kept

    def advantages(
        self, rewards: torch.Tensor, values: torch.Tensor, counts: torch.Tensor, cut: torch.Tensor
    ) -> torch.Tensor:
        """Generalised advantages of `rewards` (K, T, B) where `values` (K, T, B) were expected and `counts` (T, B).

        Where an episode was `cut` (T, B), what follows is worth what the last state was.
        """
        import torch

        going = torch.cat([counts[1:], torch.zeros_like(counts[:1])])  # whether the episode goes on after a step
        following = going * torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1) + cut * values
        errors = rewards + self.discount * following - values
        found, ahead = torch.zeros_like(values), torch.zeros_like(values[:, 0])
        for t in reversed(range(len(counts))):
            ahead = errors[:, t] + self.discount * self.gae_lambda * going[t] * ahead
            found[:, t] = ahead
        return found


def scaled(advantages: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """`advantages` (K, T, B), each of the K by the root of the mean of its squares, where `counts` (T, B)."""
    square = (advantages.square() * counts).sum(dim=(1, 2), keepdim=True) / counts.sum()
    return advantages / square.sqrt().clamp(min=SMALLEST)


def climb(optimiser: torch.optim.Optimizer, objective: torch.Tensor) -> None:
    """A step of the optimiser up the objective."""
    optimiser.zero_grad()
    (-objective).backward()
    optimiser.step()
