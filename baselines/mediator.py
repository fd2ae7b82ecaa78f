"""`mediator`: agents may let a learned mediator act for them; no money moves (Ivanov et al. 2023)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, Self, cast

import numpy as np
from pydantic import Field, model_validator

from ..contracts.episodes import Episodes
from ..contracts.loop import Loop
from ..contracts.mechanism import Decisions, Mechanism, Summary
from ..core.config import UsageError, configuration
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game
from ..learning.role import Role, Task, Update
from ..learning.settings import Count, Rate, Share
from .one_more_action import WithOneMore

if TYPE_CHECKING:
    import torch

    from ..learning.principals.mediator import Mediator

DELEGATE = "delegate"
MOST_AGENTS = 6  # 2^N coalitions
LOWEST, HIGHEST = -4.0, 4.0  # of the logarithms of the multipliers, as in the paper's code
SMALLEST = 1e-6  # a deviation of returns, below which they are all the same
KEPT = 0.95  # of what was measured before, in the mean of a constraint


class Batch(NamedTuple):
    """`T` steps of `B` episodes from their starts, of `N` agents."""

    rows: torch.Tensor  # (N, T, B, D) what agents saw
    chosen: torch.Tensor  # (N, T, B) int64, delegating included
    worlds: torch.Tensor  # (T, B, W) what the mediator saw
    plans: torch.Tensor  # (T, B, N) int64 what it drew for each agent in the coalition that there was
    coalitions: torch.Tensor  # (T, B) int64
    rewards: torch.Tensor  # (N, T, B)
    counts: torch.Tensor  # (T, B) 1.0 where the episode went on
    finished: list[Episodes]


@configuration
class LearnedMediator(Role):
    """A mediator that learns by policy gradients what to play for each coalition, while its agents learn to delegate.

    It climbs the returns of the members of a coalition, under the constraint that each agent should not gain by staying
    outside: agent i's return where all delegate is to be no less than where all others do. The Lagrangian counts a
    member's return with 1 + lambda_i, and an outsider's with - lambda_i; the multipliers grow where the constraint is
    violated. Ivanov et al. 2023 measure the constraint in every state, by critics of each coalition; here it is
    measured on average, by the returns of the coalitions that formed (ours), which needs none.
    """

    discount: Share = 0.99
    """Discount factor per step."""
    steps: Count = 400_000
    """Environment steps of its training."""
    lr: Rate = 3e-3
    """Adam's learning rate of the mediator."""
    agents_lr: Rate = 3e-3
    """Adam's learning rate of its agents."""
    constraint_lr: Rate = 0.02
    """Step size of the logarithms of the multipliers."""
    entropy: Annotated[float, Field(ge=0.0)] = 0.1
    """Weight of the entropy bonus of mediator and agents at the start ..."""
    entropy_final: Annotated[float, Field(ge=0.0)] = 0.01
    """... and at the end, linear in between."""
    epsilon: Share = 1.0
    """Share of the agents' random actions, half of which delegate so that all coalitions form, at the start ..."""
    epsilon_final: Share = 0.1
    """... and from `explore_until` on."""
    explore_until: Annotated[float, Field(gt=0.0, le=1.0)] = 0.3
    """The share of the budget after which epsilon stays at `epsilon_final`."""
    gae_lambda: Share = 0.9
    """Lambda of generalised advantage estimation (Schulman et al. 2016)."""
    environments: Count = 64
    """Episodes in a batch."""
    hidden: tuple[int, ...] = (64, 32)
    """Widths of the dense layers of each network."""

    tuned: ClassVar[SearchSpace] = {
        "lr": Range(3e-4, 0.03, log=True), "agents_lr": Range(3e-4, 0.03, log=True),
        "constraint_lr": Range(0.002, 0.2, log=True), "entropy": Range(0.01, 0.5, log=True),
    }  # fmt: skip

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism other than `mediator`."""
        if not isinstance(mechanism, Mediation):
            raise UsageError(f"a mediator needs the mechanism mediator (got {type(mechanism).__name__})")

    def learn(self, task: Task) -> Generator[Update, None, Mediator]:
        import torch

        from ..learning.agents.companions import Companions, Sight
        from ..learning.incentives import log_chances, outputs, stack
        from ..learning.networks import shape_of
        from ..learning.principals.mediator import Mediator, worlds

        game = task.game
        N, A = len(game.agents), len(task.mechanism.game.action_names)
        shape, loop = shape_of(game), task.loop(self.environments)
        sees = worlds(game, loop.state).shape[1] + 2**N + N
        agents = Companions(shape, 0, stack(N, Sight(shape, 0).width, self.hidden, A + 1, last=0.01))
        mediator = Mediator(N, stack(1, sees, self.hidden, A, last=0.01), agents)
        critics = stack(N, Sight(shape, 0).width, self.hidden, 1)
        optimisers = [
            torch.optim.Adam(networks, lr=lr)
            for networks, lr in (
                (mediator.networks, self.lr), (agents.policies, self.agents_lr), (critics, self.agents_lr)
            )
        ]  # fmt: skip
        multipliers, violated = torch.zeros(N), torch.zeros(N)  # logarithms; a mean over batches
        while loop.steps < task.steps:
            entropy = self.entropy + loop.steps / task.steps * (self.entropy_final - self.entropy)
            explored = min(1.0, loop.steps / (self.explore_until * task.steps))
            epsilon = self.epsilon + explored * (self.epsilon_final - self.epsilon)
            batch = _played(loop, mediator, epsilon)
            values = outputs(critics, batch.rows.flatten(1, 2)).reshape(batch.rewards.shape)
            earned = self._advantages(batch, values.detach(), game.truncates)
            missed = ((values - values.detach() - earned).square() * batch.counts).sum() / batch.counts.sum()
            square = (earned.square() * batch.counts).sum(dim=(1, 2), keepdim=True) / batch.counts.sum()
            earned = earned / square.sqrt().clamp(min=SMALLEST)
            own = log_chances(agents.policies, batch.rows, epsilon, _at_random(A))
            taken = own.gather(-1, batch.chosen[..., None]).squeeze(-1)
            spread = -(own.exp() * own).sum(dim=-1)
            climbed = ((taken * earned + entropy * spread) * batch.counts).sum() / batch.counts.sum()

            members = ((batch.coalitions[..., None] >> torch.arange(N)) & 1).bool()  # (T, B, N)
            weights = torch.where(members, 1.0 + multipliers.exp(), -multipliers.exp())
            weighed = (weights * earned.movedim(0, -1)).sum(dim=-1)
            wanted, share = _centred(weighed, batch.coalitions, batch.counts, 2**N)
            T, B, W = batch.worlds.shape
            every = mediator.logits(batch.worlds.reshape(T * B, W)).log_softmax(dim=-1)  # (T B, 2^N, N, A)
            formed = every[torch.arange(T * B), batch.coalitions.reshape(-1)]  # (T B, N, A)
            drawn = formed.gather(-1, batch.plans.reshape(T * B, N, 1)).squeeze(-1).reshape(T, B, N)
            unsure = -(formed.exp() * formed).sum(dim=-1).reshape(T, B, N)
            each = ((drawn * wanted[..., None] + entropy * unsure) * members).sum(dim=-1)
            planned = (each * share).sum() / 2**N

            for optimiser, objective in zip(optimisers, (planned, climbed, -missed), strict=True):
                optimiser.zero_grad()
                (-objective).backward()
                optimiser.step()
            violated = KEPT * violated - (1.0 - KEPT) * _slack(earned, batch.coalitions, batch.counts)
            multipliers = (multipliers + self.constraint_lr * violated.sign()).clamp(LOWEST, HIGHEST)
            episodes = Episodes.joined(batch.finished)
            losses = {
                "delegated": float((members.float().mean(dim=-1) * batch.counts).sum() / batch.counts.sum()),
                "multiplier": float(multipliers.exp().mean()), "return": episodes.returns.sum(axis=1).mean(),
            }  # fmt: skip
            yield Update(loop.steps, task.steps, episodes, losses)
        return mediator

    def _advantages(self, batch: Batch, values: torch.Tensor, truncates: bool) -> torch.Tensor:
        """(N, T, B) generalised advantages; where a horizon cuts, what follows is worth what the last state was."""
        import torch

        counts = batch.counts
        going = torch.cat([counts[1:], torch.zeros_like(counts[:1])])  # whether the episode goes on after a step
        following = torch.cat([values[:, 1:], values[:, -1:] * truncates], dim=1)
        last = going.new_zeros(counts.shape)
        last[-1] = float(truncates)
        errors = batch.rewards + self.discount * (going + last) * following - values
        advantages, ahead = torch.zeros_like(values), torch.zeros_like(values[:, 0])
        for t in reversed(range(len(counts))):
            ahead = errors[:, t] + self.discount * self.gae_lambda * going[t] * ahead
            advantages[:, t] = ahead
        return advantages

    def kept(self) -> type[Mediator]:
        from ..learning.principals.mediator import Mediator

        return Mediator


def _played(loop: Loop, mediator: Mediator, epsilon: float) -> Batch:
    """The agents and the mediator play an episode in every environment, from its start."""
    import torch

    from ..learning.incentives import log_chances
    from ..learning.principals.mediator import worlds

    loop.begin_anew()
    N = mediator.players
    parts: list[tuple[torch.Tensor, ...]] = []
    finished: list[Episodes] = []
    going = np.ones(loop.B, bool)
    while going.any():
        with torch.no_grad():
            world, seen = worlds(loop.game, loop.state), mediator.agents.sight(loop.seen)
            chances = mediator.logits(world).softmax(dim=-1)
            plan = torch.multinomial(chances.flatten(0, 2), 1).reshape(chances.shape[:3])
            loop.offer(mediator.decisions(plan))
            random = _at_random(chances.shape[-1])
            acting = log_chances(mediator.agents.policies, seen, epsilon, random).exp()
            chosen = torch.multinomial(acting.flatten(0, 1), 1).reshape(acting.shape[:2])
        step = loop.step(chosen.T.numpy())
        coalition = ((chosen == acting.shape[-1] - 1).long() << torch.arange(N)[:, None]).sum(dim=0)
        rewards, count = torch.from_numpy(step.transition.rewards.T.copy()), torch.from_numpy(going.astype(np.float32))
        parts.append((seen, chosen, rewards, world, plan[torch.arange(loop.B), coalition], coalition, count))
        if step.episodes is not None:
            finished.append(step.episodes.select(going[step.ended]))
        going = going & ~step.ended
    by_agent, others = zip(*((part[:3], part[3:]) for part in parts), strict=True)
    rows, chose, rewarded = (torch.stack(each, 1) for each in zip(*by_agent, strict=True))
    world, plans, coalitions, counts = (torch.stack(each) for each in zip(*others, strict=True))
    return Batch(rows, chose, world, plans, coalitions, rewarded, counts, finished)


def _at_random(A: int) -> torch.Tensor:
    """(A + 1,): random actions, half of which delegate, so that large coalitions form."""
    import torch

    return torch.tensor([0.5 / A] * A + [0.5])


def _centred(
    values: torch.Tensor, kinds: torch.Tensor, counts: torch.Tensor, most: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`values` (T, B), less the mean of those of the same of `kinds` (T, B) that count; and the share of each in it."""
    flat, kind, count = values.flatten(), kinds.flatten(), counts.flatten()
    total = flat.new_zeros(most).index_add(0, kind, flat * count)
    number = flat.new_zeros(most).index_add(0, kind, count)
    number = number.clamp(min=1.0)
    return (flat - (total / number)[kind]).reshape(values.shape), (count / number[kind]).reshape(values.shape)


def _slack(earned: torch.Tensor, coalitions: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """(N,): how much more each agent has where all delegate than where all others do; 0 where either is unknown."""
    N = len(earned)
    found = earned.new_zeros(N)
    everyone = counts * (coalitions == 2**N - 1)
    for i in range(N):
        others = counts * (coalitions == 2**N - 1 - 2**i)
        if everyone.sum() and others.sum():
            found[i] = (earned[i] * everyone).sum() / everyone.sum() - (earned[i] * others).sum() / others.sum()
    return found


@configuration
class Mediation(Mechanism):
    """One more action, `delegate`: a learned mediator then plays for the agent. No money of any kind.

    The mediator sees the state and who delegates, and plays for all of them (`LearnedMediator`): what it does for the
    others where somebody stays outside is what makes delegating worth it. It commits to its rule, and can make nobody
    delegate. Agents see none of it; they learn what delegating brings. `compliance` is the share of actions in which
    agents delegate. Who delegates decides anew in each step; the mediator acts by what it finds likeliest, while in
    training it drew.

    Mediated multi-agent reinforcement learning, Ivanov, Zisman and Chernyshev 2023 (arXiv:2306.08419).

    Raises UsageError for a game of one agent, or of more than 6, whose coalitions are too many.
    """

    principal: ClassVar[type] = LearnedMediator
    keeps_agents: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 2 <= (N := len(self.game.agents)) <= MOST_AGENTS:
            raise UsageError(
                f"a mediator plays for coalitions of 2 to {MOST_AGENTS} agents; {type(self.game).__name__} has {N}, "
                "choose another game"
            )
        return self

    @property
    def played(self) -> Game:
        return cast(Game, WithOneMore(self.game, DELEGATE, plays=self.game.action_names[0]))

    @property
    def promised_shape(self) -> tuple[int, ...]:
        """(N, 2^N): the action that is played for each agent, by who delegates: agent i adds 2^i."""
        N = len(self.game.agents)
        return N, 2**N

    @property
    def promised_bounds(self) -> tuple[float, float]:
        return 0.0, len(self.game.action_names) - 1.0

    def act(self, terms: Decisions, actions: np.ndarray) -> np.ndarray:
        delegated = actions == len(self.game.action_names)
        coalition = delegated @ (1 << np.arange(actions.shape[1]))
        played = np.take_along_axis(terms.promised, coalition[:, None, None], axis=2)[..., 0]
        return np.where(delegated, played.astype(actions.dtype), actions)

    def complied(self, terms: Decisions, chosen: np.ndarray) -> np.ndarray:
        return chosen == len(self.game.action_names)

    def summary(self, terms: Decisions, B: int) -> Summary:
        """For each agent in words: what is played for it if all delegate, and what for the others if it does not."""
        N, names = len(self.game.agents), self.game.action_names
        plans, words = terms.promised.astype(int), np.full((B, N), "", dtype=object)
        for b in range(B):
            for i in range(N):
                outside = 2**N - 1 - 2**i
                threat = ", ".join(names[plans[b, j, outside]] for j in range(N) if j != i)
                words[b, i] = f"delegate: {names[plans[b, i, -1]]}; else they {threat}"
        return Summary(np.full((B, N), -1), np.zeros((B, N), np.float32), words.astype(str))
