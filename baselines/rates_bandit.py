"""`rates-bandit`: a principal that learns committed rates by a bandit, while the agents that it pays learn by PPO."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

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
from ..learning.role import Role, Task, Update
from ..learning.settings import Count, Rate

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


class Elimination:
    """Successive elimination among `arms`, in rounds, each with twice the pulls of every arm of the round before.

    An arm is eliminated at the end of a round if its mean of the round is more than two radii below the best one. The
    radius of n pulls is `s sqrt(2 ln(4 A r^2 / delta) / n)` in round r of A arms, with s the standard deviation of the
    rewards within arms: Hoeffding's bound for s-sub-Gaussian rewards, so that the best arm is lost with probability
    `delta` at most if agents answer the same throughout a round (Even-Dar, Mannor and Mansour 2006, where rewards lie
    in [0, 1]). Agents learn, so no round uses the rewards of another one.

    Before the first round, which is begun from outside, arms are counted and none is eliminated.
    """

    def __init__(self, arms: int, pulls: int, delta: float) -> None:
        self.arms, self.pulls, self.delta = arms, pulls, delta
        self.left, self.lost = np.arange(arms), np.zeros(0, np.int64)  # the last one that was lost first
        self.round = 0
        self.sums = self.before = np.zeros((3, arms))  # of 1, rewards and their squares: this round's, the last one's

    def begin_round(self) -> None:
        """Forget all but the round that ends."""
        self.round += 1
        self.sums, self.before = np.zeros((3, self.arms)), self.sums

    def observe(self, arm: np.ndarray, reward: np.ndarray) -> bool:
        """Count pulls, (E,) each; whether a round ended by them, and the next one begins."""
        self.sums = self.sums + [np.bincount(arm, reward**power, self.arms) for power in range(3)]
        if not self.round or self.sums[0, self.left].min() < self.pulls * 2 ** (self.round - 1):
            return False
        means, radii = self.means(self.sums)[self.left], self.radii[self.left]
        stays, order = means + radii >= (means - radii).max(), np.argsort(-means, kind="stable")
        self.lost = np.concatenate([self.left[order][~stays[order]], self.lost])
        self.left = self.left[stays]
        self.begin_round()
        return True

    @property
    def radii(self) -> np.ndarray:
        """(A,) of the round so far."""
        count, total, squares = self.sums[:, self.left]
        within = max(0.0, (squares - total**2 / np.maximum(count, 1)).sum() / max(1, (count - 1).sum()))
        log = np.log(4 * self.arms * max(1, self.round) ** 2 / self.delta)
        return np.sqrt(within * 2 * log / np.maximum(self.sums[0], 1))

    def means(self, sums: np.ndarray) -> np.ndarray:
        """(A,) the mean reward of each arm; -inf of one without a pull."""
        return np.divide(sums[1], sums[0], out=np.full(self.arms, -np.inf), where=sums[0] > 0)

    @property
    def ranked(self) -> np.ndarray:
        """(A,) the arms, the best one first: those left by their recent means, then the others as they were lost."""
        return np.concatenate([self.left[np.argsort(-self.recent[self.left], kind="stable")], self.lost])

    @property
    def recent(self) -> np.ndarray:
        """(A,) the mean of this round and the last."""
        return self.means(self.sums + self.before)


class Arms:
    """A principal that is still learning: it deals the arms that are left to the episodes that begin, equally often."""

    def __init__(self, rates: np.ndarray, agents: int, elimination: Elimination, draws: Stream) -> None:
        self.rates, self.agents, self.elimination, self.draws = rates, agents, elimination, draws  # rates (A, K)
        self._deck = np.zeros(0, np.int64)

    def __call__(self, game: Game, state: Any) -> Decisions:
        B, left = len(game.world(state)), self.elimination.left
        while len(self._deck) < B:
            self._deck = np.concatenate([self._deck, left[self.draws.permutation(len(left))]])
        dealt, self._deck = np.split(self._deck, [B])
        return offered(self.rates[dealt], self.agents)

    def observe(self, episodes: Episodes, alpha: float) -> None:
        """Learn from finished episodes, each of the arm that lies nearest to the rates that it recorded."""
        distances = np.abs(episodes.terms[:, None] - self.rates).sum(axis=-1)
        if self.elimination.observe(distances.argmin(axis=1), utilities(episodes, alpha)):
            self._deck = self._deck[:0]


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
    best arms by elimination may be too low for agents that never knew a higher one. Fresh agents therefore learn under
    each of the `finalists` alone, and the principal takes the arm that is best with them.
    """

    alpha: Rate = 0.1
    """The price of money: the principal maximises the mean of welfare / alpha - payments over episodes."""
    steps: Count = 1_000_000
    """Environment steps of the principal's own training; not part of the budget of the agents trained afterwards."""
    rungs: Annotated[int, Field(ge=2)] = 11
    """The number of rates to choose from for each fact, evenly spaced from 0 to the highest."""
    burn_in: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.4
    """The share of the elimination's budget in which no arm is eliminated, while the agents learn to respond to all."""
    pulls: Annotated[int, Field(ge=2)] = 32
    """Pulls of each arm in the first round; every further round has twice as many."""
    delta: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """The probability with which the best arm may be eliminated, were the agents' answers stationary."""
    finalists: Count = 3
    """The number of arms, the best by elimination, under which fresh agents learn in the second half of the budget; 1:
    the elimination has it all."""
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
        if task.resources.runners:
            raise UsageError(
                f"a bandit learns in the process that steps the environments (got {task.resources.runners} remote "
                "runners): leave runners out"
            )
        contract = task.mechanism
        assert isinstance(contract, RatesBanditContract)
        agents, facts = contract.promised_shape
        rungs = np.linspace(0.0, contract.highest, self.rungs)
        rates = np.stack(np.meshgrid(*[rungs] * facts, indexing="ij"), axis=-1).reshape(-1, facts)
        bandit = Elimination(len(rates), self.pulls, self.delta)
        last = min(self.finalists, len(rates))
        part = task.steps // (2 * last) if last > 1 else 0
        first = replace(task, steps=task.steps - part * last)
        yield from self._eliminate(first, Arms(rates, agents, bandit, task.draws()), task.steps)
        finalists = [ConstantRates(rates[arm].tolist(), agents) for arm in bandit.ranked[:last]]
        if len(finalists) == 1:
            return finalists[0]
        found: list[float] = []
        for number, principal in enumerate(finalists):
            trial = self._try(replace(task, steps=part, principal=principal), first.steps + number * part, task.steps)
            found.append((yield from trial))
        return finalists[int(np.argmax(found))]

    def _eliminate(self, task: Task, arms: Arms, total: int) -> Generator[Update, None, None]:
        """Pull arms in all episodes of the task, and eliminate some once the burn-in is over."""
        bandit = arms.elimination
        for update in self.agents.learn(replace(task, principal=arms)):
            if update.episodes is not None:
                arms.observe(update.episodes, self.alpha)
            if not bandit.round and update.steps >= self.burn_in * task.steps:
                bandit.begin_round()
            yield reported(update, 0, total, len(bandit.left), bandit.recent[bandit.left].max())

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
    same for every agent and hold for an episode; the agents see them, as shares of `highest`. Each vector of rates on a
    grid is an arm, and an episode of an environment is one pull of it. The principal learns by successive elimination
    (Even-Dar, Mannor and Mansour 2006) while its agents learn by PPO, and at last by how fresh agents answer the best
    arms; it has no network. Bandits over contracts: Ho, Slivkins and Vaughan 2014; linear contracts on a grid: Zhu et
    al. 2022.
    """

    principal: ClassVar[type] = RatesBandit
