"""`rates-bandit`: a principal that learns committed rates by a bandit, while the agents that it pays learn by PPO."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from ..contracts.episodes import Episodes
from ..contracts.mechanism import Decisions, Mechanism
from ..contracts.rates import EpisodeRates
from ..core.checkpoint import Checkpoint, Saved
from ..core.config import UsageError, configuration
from ..core.random import Stream
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game
from ..learning.agents.ppo import PPO
from ..learning.bandits import Bandit, Confident, Eliminating, Elimination, Pulls, Zooming
from ..learning.role import Role, Task, Update
from ..learning.settings import Count, Rate

Rule = Literal["elimination", "ucb", "zooming"]
MOST_ARMS = 11**3  # three facts with the default rungs


class ConstantRates(Saved):
    """A frozen principal: the same rates (K,) for each of `agents`, in every state."""

    def __init__(self, rates: Sequence[float], agents: int) -> None:
        self.rates, self.agents = np.array(rates, np.float32), agents

    def __call__(self, game: Game, state: Any) -> Decisions:
        return offered(np.broadcast_to(self.rates, (len(game.world(state)), len(self.rates))), self.agents)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({"rates": self.rates.tolist(), "agents": self.agents})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        return cls(**checkpoint.about)


def offered(rates: np.ndarray, agents: int) -> Decisions:
    """Decisions that offer the `rates` (B, K) to each agent, and recommend nothing."""
    B, K = rates.shape
    return Decisions.pay_only(np.broadcast_to(rates[:, None], (B, agents, K)))


class Pulling:
    """A principal that is still learning: it offers what its bandit deals to the episodes that begin."""

    def __init__(self, bandit: Bandit, agents: int) -> None:
        self.bandit, self.agents = bandit, agents

    def __call__(self, game: Game, state: Any) -> Decisions:
        return offered(self.bandit.deal(len(game.world(state))), self.agents)

    def observe(self, episodes: Episodes, alpha: float) -> None:
        """Learn from finished episodes, by the rates that they recorded."""
        self.bandit.observe(Pulls(episodes.terms, episodes.principal_returns / alpha, episodes.payments.sum(axis=1)))


def utilities(episodes: Episodes, alpha: float) -> np.ndarray:
    """(E,) the principal's return, which is welfare unless the game says otherwise, / alpha - payments."""
    return episodes.principal_returns / alpha - episodes.payments.sum(axis=1)


def reported(update: Update, before: int, total: int, arms: int, utility: float) -> Update:
    """The agents' update after so many steps `before`, with the number of arms that are played and the best mean."""
    episodes, training = update.episodes, {**update.training, "principal/arms": float(arms)}
    if np.isfinite(utility):
        training["principal/utility"] = float(utility)
    if episodes is not None:
        episodes = episodes.replace(steps=episodes.steps + before)
    return Update(update.steps + before, total, episodes, training)


@configuration
class RatesBandit(Role):
    """A principal that learns constant rates as the arms of a bandit, one pull an episode, while its agents learn.

    The same agents answer all arms in turn, so that what they learned to do for more they go on doing for less: the
    best arms by the bandit may be too low for agents that never knew a higher one. Fresh agents therefore learn under
    each of the `finalists` alone, and the principal takes the arm that is best with them.
    """

    alpha: Rate = 0.1
    """The price of money: the principal maximises the mean of welfare / alpha - payments over episodes."""
    steps: Count = 1_000_000
    """Environment steps of the principal's own training; not part of the budget of the agents trained afterwards."""
    rule: Annotated[Rule, Field(exclude_if=lambda value: value == "elimination")] = "elimination"
    """How rates are chosen: successive elimination on a grid (Even-Dar et al. 2006), upper confidence bounds on a grid
    (Auer et al. 2002; contracts: Zhu et al. 2022), or cells that are divided where it matters (Ho et al. 2014)."""
    rungs: Annotated[int, Field(ge=2)] = 11
    """The number of rates on a grid to choose from for each fact, evenly spaced from 0 to the highest."""
    burn_in: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.4
    """The share of the bandit's budget in which all rates are dealt alike, while the agents learn to respond to all."""
    pulls: Annotated[int, Field(ge=2)] = 32
    """Elimination: pulls of each arm in the first round; every further round has twice as many."""
    delta: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Elimination: the probability with which the best arm may be lost, were the agents' answers stationary."""
    finalists: Count = 3
    """The number of arms, the best by the bandit, under which fresh agents learn in the second half of the budget; 1:
    the bandit has it all."""
    agents: PPO = Field(default_factory=PPO)
    """The settings of its agents."""

    tuned: ClassVar[SearchSpace] = {
        "burn_in": Range(0.1, 0.8), "delta": Range(0.01, 0.5, log=True), "finalists": (1, 3),
    }  # fmt: skip

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism whose rates do not hold for an episode, and for too many arms."""
        if not isinstance(mechanism, RatesBanditContract):
            raise UsageError(f"a bandit of rates needs the mechanism rates-bandit (got {type(mechanism).__name__})")
        facts = len(mechanism.game.verifiable)
        if self.rungs**facts > MOST_ARMS:
            raise UsageError(
                f"rungs: {self.rungs} rates for each of {facts} facts are {self.rungs**facts} arms, and at most "
                f"{MOST_ARMS} are allowed: give fewer rungs, or learn the rates by principal-ppo"
            )

    def learn(self, task: Task) -> Generator[Update, None, ConstantRates]:
        task.resources.check_no_runners("a bandit")
        contract = task.mechanism
        assert isinstance(contract, RatesBanditContract)
        agents, facts = contract.promised_shape
        last = min(self.finalists, self.rungs**facts)
        part = task.steps // (2 * last) if last > 1 else 0
        first = replace(task, steps=task.steps - part * last)
        bandit = self.bandit(contract.highest, facts, first.steps // task.game.horizon, task.draws())
        yield from self._pull(first, Pulling(bandit, agents), task.steps)
        finalists = [ConstantRates(rates.tolist(), agents) for rates in bandit.best(last)]
        if len(finalists) == 1:
            return finalists[0]
        found: list[float] = []
        for number, principal in enumerate(finalists):
            trial = self._try(replace(task, steps=part, principal=principal), first.steps + number * part, task.steps)
            found.append((yield from trial))
        return finalists[int(np.argmax(found))]

    def bandit(self, highest: float, facts: int, pulls: int, draws: Stream) -> Bandit:
        """The bandit of the `rule`, for about so many `pulls` of rates up to the `highest`."""
        if self.rule == "zooming":
            return Zooming(highest, facts, pulls, draws)
        rungs = np.linspace(0.0, highest, self.rungs)
        rates = np.stack(np.meshgrid(*[rungs] * facts, indexing="ij"), axis=-1).reshape(-1, facts)
        if self.rule == "ucb":
            return Confident(rates, pulls, draws)
        return Eliminating(rates, Elimination(len(rates), self.pulls, self.delta), draws)

    def _pull(self, task: Task, principal: Pulling, total: int) -> Generator[Update, None, None]:
        """Try rates in all episodes of the task, and choose among them once the burn-in is over."""
        bandit = principal.bandit
        for update in self.agents.learn(replace(task, principal=principal)):
            if update.episodes is not None:
                principal.observe(update.episodes, self.alpha)
            if not bandit.begun and update.steps >= self.burn_in * task.steps:
                bandit.begin()
            yield reported(update, 0, total, bandit.playing, bandit.utility)

    def _try(self, task: Task, before: int, total: int) -> Generator[Update, None, float]:
        """Fresh agents learn under one arm; its mean utility in the second half of the task."""
        late, mean = np.zeros(0), -np.inf
        for update in self.agents.learn(task):
            if update.episodes is not None and update.steps > task.steps / 2:
                late = np.concatenate([late, utilities(update.episodes, self.alpha)])
                mean = late.mean()
            yield reported(update, before, total, 1, mean)
        return mean

    def kept(self) -> type[ConstantRates]:
        return ConstantRates


@configuration
class RatesBanditContract(EpisodeRates):
    """A principal learns by a bandit which rate to commit to for each verifiable fact. Payments.

    Agent i earns `r_i + sum_k b_k f_ik`, with `f_ik` how often it did what fact k says. The rates `b_k >= 0` are the
    same for every agent and hold for an episode; the agents see them, as shares of `highest`. Each vector of rates is
    an arm, and an episode of an environment is one pull of it. The principal learns by successive elimination
    (Even-Dar, Mannor and Mansour 2006), or by another `rule`, while its agents learn by PPO, and at last by how fresh
    agents answer the best arms; it has no network. Bandits over contracts: Ho, Slivkins and Vaughan 2014; linear
    contracts on a grid: Zhu et al. 2022.
    """

    principal: ClassVar[type] = RatesBandit
