"""`mediator`: agents may let a learned mediator act for them; no money moves (Ivanov et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self, cast

import numpy as np
from pydantic import model_validator

from ..contracts.loop import Loop
from ..contracts.mechanism import Decisions, Mechanism, Summary
from ..core.config import UsageError, configuration
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game
from ..learning.beside_agents import BesideAgents, climb
from ..learning.role import Task
from ..learning.settings import Rate
from ..learning.whole_episodes import Batch
from .one_more_action import WithOneMore

if TYPE_CHECKING:
    import torch

    from ..learning.agents.companions import Companions
    from ..learning.principals.mediator import Mediator

DELEGATE = "delegate"
LOWEST, HIGHEST = -4.0, 4.0  # of the logarithms of multipliers, as in the paper's public code
MOST_AGENTS = 6  # 2^N coalitions


@configuration
class LearnedMediator(BesideAgents):
    """A mediator that learns by policy gradients what to play for each coalition, while its agents learn to delegate.

    It climbs the returns of the members of a coalition, under the constraint that each agent should not gain by staying
    outside: agent i's return where all delegate is to be no less than where all others do. The Lagrangian counts a
    member's return with 1 + lambda_i, and an outsider's with - lambda_i; the logarithms of the multipliers move against
    the constraint. Ivanov et al. 2023 measure it in every state, by critics of each coalition. Here it is measured on
    average, where both coalitions formed, by the agents' advantages, which are scaled; all coalitions that formed count
    alike in a step of the mediator, however often they did; and half of its agents' random actions delegate, so that
    large coalitions form (ours).
    """

    constraint_lr: Rate = 0.02
    """Step size of the logarithms of the multipliers."""

    tuned: ClassVar[SearchSpace] = {**BesideAgents.tuned, "constraint_lr": Range(0.002, 0.2, log=True)}

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism other than `mediator`."""
        if not isinstance(mechanism, Mediation):
            raise UsageError(f"a mediator needs the mechanism mediator (got {type(mechanism).__name__})")

    def begin(self, task: Task, agents: Companions) -> Mediating:
        return Mediating(self, task, agents)

    def kept(self) -> type[Mediator]:
        from ..learning.principals.mediator import Mediator

        return Mediator


class Mediating:
    """A mediator that learns."""

    def __init__(self, role: LearnedMediator, task: Task, agents: Companions) -> None:
        import torch

        from ..learning.incentives import stack
        from ..learning.principals.mediator import Mediator
        from ..learning.worlds import width

        N, A = len(task.game.agents), len(task.mechanism.game.action_names)
        sees = width(task.game) + 2**N + N
        self.kept = Mediator(N, stack(1, sees, role.hidden, A, last=0.01), agents)
        self.random = _at_random(A)
        self.optimiser = torch.optim.Adam(self.kept.networks, lr=role.lr)
        self.constraint_lr = role.constraint_lr
        self.multipliers = torch.zeros(N)  # logarithms

    def offer(self, loop: Loop) -> tuple[torch.Tensor, ...]:
        """Draws a plan, and notes the world that it saw and the plan (B, 2^N, N)."""
        import torch

        from ..learning.worlds import planes

        world = planes(loop.game, loop.state)
        chances = self.kept.logits(world).softmax(dim=-1)
        plan = torch.multinomial(chances.flatten(0, 2), 1).reshape(chances.shape[:3])
        loop.offer(self.kept.decisions(plan))
        return world, plan

    def learn(self, batch: Batch, earned: torch.Tensor, epsilon: float, entropy: float) -> dict[str, float]:
        import torch

        world, plans = batch.noted
        N, T, B = batch.rewards.shape
        coalitions = ((batch.chosen == len(self.random) - 1).long() << torch.arange(N)[:, None, None]).sum(dim=0)
        members = ((coalitions[..., None] >> torch.arange(N)) & 1).bool()  # (T, B, N)
        weights = torch.where(members, 1.0 + self.multipliers.exp(), -self.multipliers.exp())
        weighed = (weights * earned.movedim(0, -1)).sum(dim=-1)
        wanted, share = _centred(weighed, coalitions, batch.counts, 2**N)
        step = torch.arange(T * B)
        every = self.kept.logits(world.flatten(0, 1)).log_softmax(dim=-1)  # (T B, 2^N, N, A)
        formed = every[step, coalitions.flatten()]  # (T B, N, A)
        plan = plans.flatten(0, 1)[step, coalitions.flatten()]  # (T B, N)
        drawn = formed.gather(-1, plan[..., None]).squeeze(-1).reshape(T, B, N)
        unsure = -(formed.exp() * formed).sum(dim=-1).reshape(T, B, N)
        each = ((drawn * wanted[..., None] + entropy * unsure) * members).sum(dim=-1)
        climb(self.optimiser, (each * share).sum() / 2**N)
        moved = self.multipliers - self.constraint_lr * _slack(earned, coalitions, batch.counts)
        self.multipliers = moved.clamp(LOWEST, HIGHEST)
        delegated = (members.float().mean(dim=-1) * batch.counts).sum() / batch.counts.sum()
        return {"delegated": float(delegated), "multiplier": float(self.multipliers.exp().mean())}


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
