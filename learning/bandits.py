"""Bandits over vectors of rates: which to try in the episodes that begin, and which were best.

An arm is a vector of rates (K,), a pull is an episode, and its reward is the principal's utility of it. Pulls are dealt
many at a time, before any of them is rewarded. Until `begin` is called, all arms are dealt equally often while those
who answer learn to; after it nothing of that is remembered.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple, Protocol

import numpy as np

from ..core.random import Stream

FINEST = 6  # how often a cell is halved before its corners are arms of their own
CONFIDENT = 5.0  # radii by which a cell must vary to be divided, and that its index adds


class Pulls(NamedTuple):
    """E finished episodes."""

    rates: np.ndarray  # (E, K)
    gains: np.ndarray  # (E,) what the principal values, in money
    paid: np.ndarray  # (E,)

    @property
    def utility(self) -> np.ndarray:
        """(E,)."""
        return self.gains - self.paid


class Bandit(Protocol):
    """A rule of choosing rates."""

    @property
    def begun(self) -> bool:
        """Whether it chooses."""

    def begin(self) -> None:
        """Forget what was observed, and choose from now on."""

    def deal(self, count: int) -> np.ndarray:
        """(count, K): the rates of so many episodes that begin."""

    def observe(self, pulls: Pulls) -> None:
        """Learn from finished episodes."""

    @property
    def playing(self) -> int:
        """How many arms, or cells of them, are still in the game."""

    def best(self, count: int) -> np.ndarray:
        """(count, K): rates, the best ones first; fewer where fewer are known."""

    @property
    def utility(self) -> float:
        """The mean utility of the best ones; -inf where nothing was observed."""


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
        self.sums = self.sums + tallied(arm, reward, self.arms)
        if not self.round or self.sums[0, self.left].min() < self.pulls * 2 ** (self.round - 1):
            return False
        mean, radii = means(self.sums)[self.left], self.radii[self.left]
        stays, order = mean + radii >= (mean - radii).max(), np.argsort(-mean, kind="stable")
        self.lost = np.concatenate([self.left[order][~stays[order]], self.lost])
        self.left = self.left[stays]
        self.begin_round()
        return True

    @property
    def radii(self) -> np.ndarray:
        """(A,) of the round so far."""
        log = np.log(4 * self.arms * max(1, self.round) ** 2 / self.delta)
        return deviation(self.sums[:, self.left]) * np.sqrt(2 * log / np.maximum(self.sums[0], 1))

    @property
    def ranked(self) -> np.ndarray:
        """(A,) the arms, the best one first: those left by their recent means, then the others as they were lost."""
        return np.concatenate([self.left[np.argsort(-self.recent[self.left], kind="stable")], self.lost])

    @property
    def recent(self) -> np.ndarray:
        """(A,) the mean of this round and the last."""
        return means(self.sums + self.before)


class Deck:
    """Arms that are dealt equally often: each once, in an order that is drawn, before any again."""

    def __init__(self, draws: Stream) -> None:
        self.draws = draws
        self.forget()

    def forget(self) -> None:
        """Drop the arms that are still to be dealt."""
        self._left = np.zeros(0, np.int64)

    def deal(self, arms: np.ndarray, count: int) -> np.ndarray:
        """(count,) of the `arms` (A,)."""
        while len(self._left) < count:
            self._left = np.concatenate([self._left, arms[self.draws.permutation(len(arms))]])
        dealt, self._left = np.split(self._left, [count])
        return dealt


class Eliminating:
    """Arms on a grid by successive elimination: those that are left are dealt equally often."""

    def __init__(self, rates: np.ndarray, elimination: Elimination, draws: Stream) -> None:
        self.rates, self.elimination, self.deck = rates, elimination, Deck(draws)  # rates (A, K)

    @property
    def begun(self) -> bool:
        return bool(self.elimination.round)

    def begin(self) -> None:
        self.elimination.begin_round()

    def deal(self, count: int) -> np.ndarray:
        return self.rates[self.deck.deal(self.elimination.left, count)]

    def observe(self, pulls: Pulls) -> None:
        if self.elimination.observe(nearest(pulls.rates, self.rates), pulls.utility):
            self.deck.forget()

    @property
    def playing(self) -> int:
        return len(self.elimination.left)

    def best(self, count: int) -> np.ndarray:
        return self.rates[self.elimination.ranked[:count]]

    @property
    def utility(self) -> float:
        return float(self.elimination.recent[self.elimination.left].max())


class Confident:
    """Arms on a grid by upper confidence bounds: the one whose mean and radius are highest together (UCB).

    The radius of n pulls is `s sqrt(2 ln(T) / n)`, with T the pulls there will be about and s the standard deviation of
    the rewards within arms (Auer, Cesa-Bianchi and Fischer 2002, where rewards lie in [0, 1]). Linear contracts on such
    a grid: Zhu et al. 2022. Pulls that are dealt and not yet rewarded count in n.
    """

    def __init__(self, rates: np.ndarray, pulls: int, draws: Stream) -> None:
        self.rates, self.pulls, self.deck, self.begun = rates, max(2, pulls), Deck(draws), False
        self.sums, self.dealt = np.zeros((3, len(rates))), np.zeros(len(rates))

    def begin(self) -> None:
        self.begun, self.sums, self.dealt = True, np.zeros_like(self.sums), np.zeros_like(self.dealt)

    def deal(self, count: int) -> np.ndarray:
        if not self.begun:
            return self.rates[self.deck.deal(np.arange(len(self.rates)), count)]
        found, mean = np.zeros(count, np.int64), means(self.sums, unknown=np.inf)
        width = deviation(self.sums) * np.sqrt(2 * np.log(self.pulls))
        for each in range(count):
            found[each] = np.lexsort((self.dealt, -(mean + width / np.sqrt(np.maximum(self.dealt, 1)))))[0]
            self.dealt[found[each]] += 1
            if np.isinf(mean[found[each]]):
                mean[found[each]] = -np.inf  # its first pull is on its way: the others' come before a second one
        return self.rates[found]

    def observe(self, pulls: Pulls) -> None:
        self.sums = self.sums + tallied(nearest(pulls.rates, self.rates), pulls.utility, len(self.rates))
        self.dealt = np.maximum(self.dealt, self.sums[0])

    @property
    def playing(self) -> int:
        return len(self.rates)

    def best(self, count: int) -> np.ndarray:
        return self.rates[often_and_best(self.sums)[:count]]

    @property
    def utility(self) -> float:
        return float(means(self.sums).max())


class Zooming:
    """Cells of rates that are divided where the utility in them may vary most (Ho, Slivkins and Vaughan 2014).

    A cell is all rates between a lowest and a highest corner, and a pull of it offers one of both. What the principal
    gains and what it pays rise with the rates, so the utility in a cell varies by its virtual width at most,
    `W = (gain_high + paid_high) - (gain_low + paid_low)`. The cell with the highest index, its mean utility plus W plus
    five radii `s sqrt(2 ln(T) / n)`, is pulled, and divided in halves along each axis once W is more than five radii.
    Cells that were halved six times give way to their corners, arms of their own (ours: the paper has a finite set of
    contracts). Corners that cells share share their pulls. The constants are of our choosing: the paper's bound needs
    larger ones.
    """

    def __init__(self, highest: float, facts: int, pulls: int, draws: Stream) -> None:
        self.pulls, self.draws, self.begun = max(2, pulls), draws, False
        self.unit = highest / 2**FINEST  # corners are whole multiples of it
        self.first = (0,) * facts, (2**FINEST,) * facts
        self._restart()

    def _restart(self) -> None:
        low, high = self.first
        self.places: dict[tuple[int, ...], int] = {}  # of the corners
        self.sums = np.zeros((4, 0))  # of 1, utilities, their squares, and gains plus payments, by corner
        self.dealt = np.zeros(0)
        self.cells: list[tuple[tuple[int, ...], tuple[int, ...]]] = [(low, high)]
        self._added((low, high))

    def begin(self) -> None:
        self.begun = True
        self._restart()

    def deal(self, count: int) -> np.ndarray:
        facts = len(self.first[0])
        if not self.begun:
            anywhere = self.draws.integers(2**FINEST + 1, count * facts)
            return anywhere.reshape(count, facts) * self.unit
        corners = np.array([(self.places[low], self.places[high]) for low, high in self.cells])  # (C, 2)
        side = self.draws.integers(2, count)
        mean, width = self._indices(corners)
        scale = deviation(self.sums[:3]) * np.sqrt(2 * np.log(self.pulls))
        found = np.zeros(count, np.int64)
        for each in range(count):
            tried = self.dealt[corners]
            index = mean + width + CONFIDENT * scale / np.sqrt(np.maximum(tried.sum(axis=1), 1))
            index[tried.min(axis=1) == 0] = np.inf  # a corner that nobody tried comes first
            cell = int(index.argmax())
            found[each] = corners[cell, side[each] if tried[cell].all() else int(tried[cell].argmin())]
            self.dealt[found[each]] += 1
        return np.array(list(self.places))[found] * self.unit

    def observe(self, pulls: Pulls) -> None:
        if not self.begun:
            return
        known = np.array(list(self.places)) * self.unit
        place, columns = nearest(pulls.rates, known), len(known)
        more = [np.bincount(place, pulls.gains + pulls.paid, columns)]
        self.sums = self.sums + np.concatenate([tallied(place, pulls.utility, columns), more])
        self.dealt = np.maximum(self.dealt, self.sums[0])
        corners = np.array([(self.places[low], self.places[high]) for low, high in self.cells])
        tried = self.sums[0][corners]
        radius = deviation(self.sums[:3]) * np.sqrt(2 * np.log(self.pulls) / np.maximum(tried.sum(axis=1), 1))
        varies = tried.all(axis=1) & (self._indices(corners)[1] > CONFIDENT * radius)
        for cell in [self.cells[place] for place in np.flatnonzero(varies)]:
            self._divide(*cell)

    def _indices(self, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean utility of cells of such corners (C, 2), and their virtual widths; 0 where a corner is unknown."""
        count = np.maximum(self.sums[0], 1)
        mean, risen = (self.sums[1] / count)[corners], (self.sums[3] / count)[corners]
        known = (self.sums[0][corners] > 0).all(axis=1)
        return np.where(known, mean.mean(axis=1), 0.0), np.where(known, risen[:, 1] - risen[:, 0], 0.0)

    def _divide(self, low: tuple[int, ...], high: tuple[int, ...]) -> None:
        """Put the parts of a cell in its place; a corner alone has none."""
        if low == high:
            return
        self.cells.remove((low, high))
        half = (high[0] - low[0]) // 2
        for side in itertools.product((0, 1), repeat=len(low)):
            if half:
                start = tuple(each + half * at for each, at in zip(low, side, strict=True))
                part = start, tuple(each + half for each in start)
            else:
                corner = tuple(two if at else one for one, two, at in zip(low, high, side, strict=True))
                part = corner, corner
            if part not in self.cells:
                self.cells.append(part)
                self._added(part)

    def _added(self, corners: tuple[tuple[int, ...], ...]) -> None:
        for corner in corners:
            if corner not in self.places:
                self.places[corner] = len(self.places)
                self.sums = np.concatenate([self.sums, np.zeros((4, 1))], axis=1)
                self.dealt = np.append(self.dealt, 0.0)

    @property
    def playing(self) -> int:
        return len(self.cells)

    def best(self, count: int) -> np.ndarray:
        return np.array(list(self.places))[often_and_best(self.sums[:3])[:count]] * self.unit

    @property
    def utility(self) -> float:
        return float(means(self.sums[:3]).max())


def searches(pulls: int) -> int:
    """How often `Incentives` halves what an arm may take, where there are so many pulls in all."""
    return int(np.ceil(np.log2(max(2, pulls))))


class Incentives:
    """Arms are the actions of an agent, and what it takes for each of them is searched first (Scheid et al. 2024).

    An incentive is a vector (K,) with one entry above 0, for the arm that the principal wants. In the first phase each
    arm's is the middle of what it takes at least and at most, of which the agent's answer leaves one half, `ceil(log2
    T)` times for T pulls. In the second phase arms are chosen by upper confidence bounds (`Confident`), each at the
    most that it may take plus 1 / T, so that the agent does as it is paid for. Algorithm 1 of the paper
    (arXiv:2403.03811) with one of the bandits that it allows.
    """

    def __init__(self, arms: int, highest: float, pulls: int, draws: Stream) -> None:
        self.low, self.high = np.zeros(arms), np.full(arms, highest)
        self.left, self.pulls, self.draws = searches(pulls), pulls, draws
        self.bandit: Confident | None = None

    @property
    def searching(self) -> bool:
        """Whether incentives are still searched."""
        return self.bandit is None

    def deal(self) -> np.ndarray:
        """(K, K): the incentives of as many pulls as there are arms; in the search each arm's."""
        if self.bandit is not None:
            return self.bandit.deal(len(self.low))
        return np.diag((self.low + self.high) / 2)

    def observe(self, pulls: Pulls) -> None:
        """Learn from the pulls that were dealt last: the agent did as it was paid for where something was paid."""
        if self.bandit is not None:
            self.bandit.observe(pulls)
            return
        middle, enough = (self.low + self.high) / 2, pulls.paid > 0.0
        self.low, self.high = np.where(enough, self.low, middle), np.where(enough, middle, self.high)
        self.left -= 1
        if not self.left:
            self.bandit = Confident(np.diag(self.high + 1.0 / self.pulls), self.pulls, self.draws)
            self.bandit.begin()

    @property
    def best(self) -> np.ndarray:
        """(K,): the incentive that is best by what is known; nothing for any arm before the second phase."""
        return np.zeros(len(self.low)) if self.bandit is None else self.bandit.best(1)[0]


def nearest(rates: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """(E,) the arm (A, K) that lies nearest to each of `rates` (E, K)."""
    return np.abs(rates[:, None] - arms).sum(axis=-1).argmin(axis=1)


def tallied(arm: np.ndarray, reward: np.ndarray, arms: int) -> np.ndarray:
    """(3, A): sums of 1, of rewards and of their squares."""
    return np.stack([np.bincount(arm, reward**power, arms) for power in range(3)])


def means(sums: np.ndarray, unknown: float = -np.inf) -> np.ndarray:
    """(A,) the mean reward of each arm in `sums` (3, A); `unknown` of one without a pull."""
    return np.divide(sums[1], sums[0], out=np.full(sums.shape[1], unknown), where=sums[0] > 0)


def often_and_best(sums: np.ndarray) -> np.ndarray:
    """(A,) arms by mean, of those that were pulled as often as an equal share of all pulls; the rest behind."""
    return np.lexsort((-means(sums), sums[0] < sums[0].mean()))


def deviation(sums: np.ndarray) -> float:
    """The standard deviation of the rewards within arms, of `sums` (3, A)."""
    count, total, squares = sums
    within = (squares - total**2 / np.maximum(count, 1)).sum() / max(1, np.maximum(count - 1, 0).sum())
    return float(np.sqrt(max(0.0, within)))
