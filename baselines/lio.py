"""`lio`: agents that learn, through the learning of the others, what to give them for what they do."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ..contracts.episodes import Episodes
from ..contracts.ledger import Ledger
from ..contracts.loop import Loop
from ..contracts.mechanism import Decisions, Mechanism, Summary, Transition
from ..contracts.recommendation import others_index
from ..core.config import UsageError, configuration
from ..core.search_space import Range, SearchSpace
from ..learning.role import Role, Task, Update
from ..learning.settings import Count, Rate, Share

if TYPE_CHECKING:
    from ..learning.incentives import Played
    from ..learning.principals.incentives import Incentives

MOST_OUTPUTS = 1 << 12  # numbers that all givers tell in one environment: N of them, N - 1 receivers, A^(N-1) each
SMALL = 0.01  # of what people are told, the amount below which nothing is given


class Batch(NamedTuple):
    """Whole episodes, and what givers saw in them."""

    played: Played
    others: Any  # (N, T, B, (N - 1) A) float: the others' actions, one-hot
    finished: list[Episodes]


@configuration
class LIO(Role):
    """Every agent learns what to give by the effect of it on the others' next step of learning.

    Agents learn by REINFORCE and plain gradient ascent, so that it is known how a step depends on what they were given;
    an agent's incentives climb its own return in episodes that the others play after their step, by the gradient
    through it. Fresh agents, that learn by whatever algorithm, then meet what was learned, and it learns no more.

    The paper charges what is given to the incentive alone, as here by `cost`. Returns are counted less their mean over
    the episodes played together, instead of a critic: there are many of them (ours).
    """

    discount: Share = 0.99
    """Discount factor per step."""
    steps: Count = 500_000
    """Environment steps of its training, those included which the others play after their step."""
    lr: Rate = 0.006
    """Step size of the agents' ascent."""
    incentive_lr: Rate = 0.03
    """Adam's learning rate of the incentives."""
    cost_lr: Annotated[float, Field(ge=0.0)] = 1e-3
    """Adam's learning rate by which givers learn to give less, in steps beside those of the incentives: the effect of a
    gift on others' learning is as small as their step, so that one objective of both could not be weighed."""
    entropy: Annotated[float, Field(ge=0.0)] = 0.01
    """Weight of the agents' entropy bonus."""
    epsilon: Share = 0.5
    """Share of the agents' random actions at the start ..."""
    epsilon_final: Share = 0.1
    """... and from `explore_until` on."""
    explore_until: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    environments: Count = 32
    """Episodes in a batch; every update takes two batches."""
    hidden: tuple[int, ...] = (64, 32)
    """Widths of the dense layers of the agents' networks."""
    incentive_hidden: tuple[int, ...] = (64, 16)
    """Widths of the dense layers of the incentives' networks."""

    tuned: ClassVar[SearchSpace] = {
        "lr": Range(5e-4, 0.05, log=True), "incentive_lr": Range(1e-3, 0.1, log=True),
        "cost_lr": Range(1e-5, 1e-2, log=True), "epsilon_final": Range(0.01, 0.3, log=True),
    }  # fmt: skip

    def check(self, mechanism: Mechanism) -> None:
        if not isinstance(mechanism, LearnedIncentives):
            raise UsageError(f"lio needs the mechanism lio (got {type(mechanism).__name__})")

    def learn(self, task: Task) -> Generator[Update, None, Incentives]:
        import torch

        from ..learning.agents.companions import Companions, Sight
        from ..learning.incentives import Climb, climbed, influence, outputs, own_gradients, stack
        from ..learning.networks import shape_of
        from ..learning.principals.incentives import Incentives

        game, contract = task.game, task.mechanism
        assert isinstance(contract, LearnedIncentives)
        N, A = len(game.agents), len(game.action_names)
        loop = task.loop(self.environments)
        shape = shape_of(game)
        width = Sight(shape, contract.terms_size).width
        policies = stack(N, width, self.hidden, A, last=0.01)
        givers = stack(N, width + (N - 1) * A, self.incentive_hidden, N - 1)
        optimisers = [torch.optim.Adam(givers, lr=lr) for lr in (self.incentive_lr, self.cost_lr)]
        learned = Incentives(contract.highest, A, givers, Companions(shape, contract.terms_size, policies))
        climb = Climb(self.lr, self.discount, self.entropy)
        others = torch.ones(N, N) - torch.eye(N)

        def given(batch: Batch) -> torch.Tensor:
            """(N, N, T, B): from giver to receiver."""
            seen = torch.cat([batch.played.rows, batch.others], dim=-1)
            amounts = contract.highest * torch.sigmoid(outputs(givers, seen.flatten(1, 2)))
            amounts = amounts.unflatten(1, seen.shape[1:3]).movedim(-1, 1)  # (N, N - 1, T, B)
            zero = torch.zeros_like(amounts[0, 0])
            return torch.stack([torch.stack([*part[:i], zero, *part[i:]]) for i, part in enumerate(amounts)])

        while loop.steps < task.steps:
            share = min(1.0, loop.steps / (self.explore_until * task.steps))
            epsilon = self.epsilon + share * (self.epsilon_final - self.epsilon)
            before = _played(loop, learned, policies, epsilon)
            gifts = given(before)
            received = gifts.sum(dim=0) - (gifts.sum(dim=1) if contract.charged else 0.0)
            after = climbed(policies, before.played, received, epsilon, climb)
            then = _played(loop, learned, [each.detach() for each in after], epsilon)
            objective = influence(after, then.played, then.played.rewards, epsilon, self.discount)
            objective = (objective * others).sum(dim=1)  # of each giver
            discounts = self.discount ** torch.arange(len(then.played.counts))[:, None]
            spent = (given(then).sum(dim=1) * discounts * then.played.counts).sum(dim=(1, 2)) / self.environments
            directions = [own_gradients(wanted, givers) for wanted in (objective, -spent)]
            for optimiser, direction in zip(optimisers, directions, strict=True):
                for part, uphill in zip(givers, direction, strict=True):
                    part.grad = -uphill
                optimiser.step()
            policies = [each.detach().requires_grad_() for each in after]
            learned.agents.policies = policies
            episodes = Episodes.joined(before.finished + then.finished)
            losses = {"given": spent.mean().item(), "return": episodes.returns.sum(axis=1).mean()}
            yield Update(loop.steps, task.steps, episodes, losses)
        return learned

    def kept(self) -> type[Incentives]:
        from ..learning.principals.incentives import Incentives

        return Incentives


def _played(loop: Loop, givers: Incentives, policies: Any, epsilon: float) -> Batch:
    """The agents play an episode in every environment, from its start."""
    import torch

    from ..learning.incentives import Played, log_chances

    loop.begin_anew()
    rows, actions, rewards, counts, finished = [], [], [], [], []
    going = np.ones(loop.B, bool)
    while going.any():
        with torch.no_grad():
            seen = givers.agents.sight(loop.seen)
            loop.offer(givers.decide(seen))
            chances = log_chances(policies, seen, epsilon).exp()
            chosen = torch.multinomial(chances.flatten(0, 1), 1).reshape(chances.shape[:2])
        step = loop.step(chosen.T.numpy())
        rows.append(seen)
        actions.append(chosen)
        rewards.append(torch.from_numpy(step.transition.rewards.T.copy()))
        counts.append(torch.from_numpy(going.astype(np.float32)))
        if step.episodes is not None:
            finished.append(step.episodes.select(going[step.ended]))
        going = going & ~step.ended
    played = Played(torch.stack(rows, 1), torch.stack(actions, 1), torch.stack(rewards, 1), torch.stack(counts))
    N, A = len(seen), chances.shape[-1]
    done = torch.nn.functional.one_hot(played.actions, A).float()
    others = [torch.cat([done[j] for j in range(N) if j != i], dim=-1) for i in range(N)]
    return Batch(played, torch.stack(others), finished)


@configuration
class LearnedIncentives(Mechanism):
    """Agent `i` gives each other agent `j` the amount `R sigmoid(f_i(o_i, a_-i))_j`, learned to make it learn. Shaping.

    Each agent has a network `f_i` of its own, which sees what the agent sees and what the others do, and was learned
    through their learning (`LIO`): it raises the environment's return of its own agent, by what the others do once they
    have learned from what they were given. In the paper incentives are created: givers' returns are charged for
    nothing, so no money moves, and it is shaping. With `charged` what an agent gives is taken from what it earns, and
    it is a transfer. Agents see none of it; they learn by what they receive, as they do in the paper.

    LIO, Yang et al. 2020 (arXiv:2006.06051).

    Raises UsageError for a game of one agent, and where so many agents have so many actions that givers cannot tell
    them all apart.
    """

    principal: ClassVar[type] = LIO
    keeps_agents: ClassVar[bool] = True
    tuned: ClassVar[SearchSpace] = {"highest": Range(0.5, 5.0)}

    highest: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    """R, the most that an agent gives another in a step, in reward."""
    charged: bool = False
    """Whether what an agent gives is taken from it; else it is created."""

    @model_validator(mode="after")
    def _check(self) -> LearnedIncentives:
        N, A = len(self.game.agents), len(self.game.action_names)
        name = type(self.game).__name__
        if N < 2:
            raise UsageError(f"agents give incentives to each other; {name} has one, choose another game")
        if (count := N * (N - 1) * A ** (N - 1)) > MOST_OUTPUTS:
            raise UsageError(
                f"{N} agents with {A} actions each would tell {count:,} amounts in every state, and {MOST_OUTPUTS:,} "
                f"are allowed, for {name}: choose a game of fewer agents"
            )
        return self

    @property
    def promised_shape(self) -> tuple[int, ...]:
        """(N, N, A^(N-1)): from giver to receiver, by what the giver's others do (`others_index`)."""
        N = len(self.game.agents)
        return N, N, len(self.game.action_names) ** (N - 1)

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        others = others_index(transition.actions, len(self.game.action_names))
        gifts = np.take_along_axis(transition.terms.promised, others[:, :, None, None], axis=3)[..., 0]
        money = Ledger.zeros(*transition.rewards.shape)
        if self.charged:
            return money._replace(transfers=gifts.astype(np.float32)), memory
        return money._replace(shaping=gifts.sum(axis=1, dtype=np.float32)), memory

    def summary(self, terms: Decisions, B: int) -> Summary:
        """For each agent in words: to whom it gives how much at most, and for what."""
        N, names = len(self.game.agents), self.game.action_names
        words = np.full((B, N), "", dtype=object)
        for b in range(B):
            for i in range(N):
                words[b, i] = ", ".join(self._told(terms.promised[b, i], i, j, names) for j in range(N) if j != i)
        return Summary(np.full((B, N), -1), np.zeros((B, N), np.float32), words.astype(str))

    def _told(self, given: np.ndarray, giver: int, receiver: int, names: tuple[str, ...]) -> str:
        """What is given to a receiver for its own action, the mean over what any third does."""
        N, place = len(self.game.agents), receiver - (receiver > giver)
        by_action = np.moveaxis(given[receiver].reshape((len(names),) * (N - 1)), place, 0).reshape(len(names), -1)
        amounts = by_action.mean(axis=1)
        best = int(amounts.argmax())
        if amounts[best] < SMALL:
            return f"nothing to {self.game.agents[receiver]}"
        return f"{amounts[best]:.2f} to {self.game.agents[receiver]} for {names[best]}"
