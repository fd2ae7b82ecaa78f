"""A second solver, slow and plain: dictionaries, fractions and recursion. It shares no code with the fast one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from operator import add, mul
from typing import NamedTuple

import numpy as np

from paymaster.equilibria.tables.table import Table

Joint = tuple[int, ...]


class SmallGame(NamedTuple):
    """A finite game in words of its own: keys are (state, joint action)."""

    A: int
    N: int
    rewards: dict[tuple[int, Joint], tuple[Fraction, ...]]
    following: dict[tuple[int, Joint], dict[int, Fraction]]
    start: dict[int, Fraction]
    facts: dict[tuple[int, Joint], tuple[tuple[int, ...], ...]]  # of each agent, what a contract may pay on

    @property
    def joints(self) -> list[Joint]:
        return list(product(range(self.A), repeat=self.N))

    @property
    def states(self) -> int:
        return max(s for s, _ in self.rewards) + 1


class Worth(NamedTuple):
    """What an episode comes to, exactly."""

    returns: list[Fraction]
    payments: list[Fraction]
    unresolved: int  # stages without a pure equilibrium: of selfish agents, or where a principal could do better unpaid
    gains: list[Fraction]


def random_game(seed: int, S: int, A: int, N: int) -> SmallGame:
    """Small whole rewards, so that ties are frequent, and chances in twelfths that may sum to less than one."""
    dice = random.Random(seed)
    cells = list(product(range(S), product(range(A), repeat=N)))
    rewards = {cell: tuple(Fraction(dice.randint(-3, 3)) for _ in range(N)) for cell in cells}
    following = {}
    for cell in cells:
        weights = [dice.choice([0, 0, 1, 2, 3]) for _ in range(S)]
        end = dice.choice([0, 0, 1])
        total = sum(weights) + end
        following[cell] = {s: Fraction(w, total) for s, w in enumerate(weights) if w}
    weights = [dice.randint(1, 3) for _ in range(S)]
    start = {s: Fraction(w, sum(weights)) for s, w in enumerate(weights)}
    facts = {cell: tuple((dice.choice([0, 0, 1, 2]),) for _ in range(N)) for cell in cells}
    return SmallGame(A, N, rewards, following, start, facts)


def at_rates(game: SmallGame, rates: tuple[Fraction, ...]) -> SmallGame:
    """The game in which each agent earns, beside its reward, the `rates` for what it does."""
    paid = {cell: [sum(map(mul, rates, own)) for own in each] for cell, each in game.facts.items()}
    rewards = {cell: tuple(map(add, own, paid[cell])) for cell, own in game.rewards.items()}
    return game._replace(rewards=rewards)


def as_table(game: SmallGame) -> Table:
    """The same game in the fast solver's form."""
    cells = list(product(range(game.states), game.joints))
    rewards = np.array([[float(r) for r in game.rewards[cell]] for cell in cells])
    edges = [sorted(game.following[cell].items()) for cell in cells]
    return Table(
        rewards=rewards.reshape(game.states, -1, game.N),
        objective=rewards.sum(axis=1).reshape(game.states, -1),
        facts=np.array([game.facts[cell] for cell in cells], float).reshape(game.states, -1, game.N, 1),
        following=np.arange(len(cells), dtype=np.int32).reshape(game.states, -1),
        offsets=np.cumsum([0, *map(len, edges)]),
        successors=np.array([s for row in edges for s, _ in row], np.int32),
        probabilities=np.array([float(p) for row in edges for _, p in row]),
        start=np.array([float(game.start.get(s, 0)) for s in range(game.states)]),
        actions=np.array(game.joints, np.int64),
    )


def solve_slowly(
    game: SmallGame, rule: str, horizon: int, alpha: Fraction, rates: tuple[Fraction, ...] = (Fraction(0),)
) -> Worth:
    """Backward induction by the definitions; agents are paid the `rates` for what they do beside what the rule says."""
    paid = at_rates(game, rates)
    nothing = [Fraction(0)] * game.N
    agents = {s: list(nothing) for s in range(game.states)}  # values, payments included
    chooser = {s: Fraction(0) for s in range(game.states)}
    returns = {s: list(nothing) for s in range(game.states)}
    payments = {s: list(nothing) for s in range(game.states)}
    best = {s: list(nothing) for s in range(game.states)}
    unresolved = 0
    for _ in range(horizon):
        now: dict[str, dict] = {name: {} for name in ("agents", "chooser", "returns", "payments", "best")}
        for s in range(game.states):
            q = {j: _then(game, s, j, list(paid.rewards[s, j]), agents) for j in game.joints}
            value = {
                j: sum(game.rewards[s, j]) / alpha + sum(p * chooser[n] for n, p in game.following[s, j].items())
                for j in game.joints
            }
            chosen, due, found = _stage(game, q, value, rule)
            unresolved += not found
            now["agents"][s] = [v + d for v, d in zip(q[chosen], due, strict=True)]
            now["chooser"][s] = value[chosen] - sum(due)
            now["returns"][s] = _then(game, s, chosen, list(game.rewards[s, chosen]), returns)
            income = [d + b - r for d, b, r in zip(due, paid.rewards[s, chosen], game.rewards[s, chosen], strict=True)]
            now["payments"][s] = _then(game, s, chosen, income, payments)
            now["best"][s] = [_best_reply(paid, s, chosen, due, i, best) for i in range(game.N)]
        agents, chooser, returns = now["agents"], now["chooser"], now["returns"]
        payments, best = now["payments"], now["best"]

    def mean(of: dict[int, list[Fraction]]) -> list[Fraction]:
        return [sum((p * of[s][i] for s, p in game.start.items()), Fraction(0)) for i in range(game.N)]

    kept = [r + p for r, p in zip(mean(returns), mean(payments), strict=True)]
    return Worth(mean(returns), mean(payments), unresolved, [b - k for b, k in zip(mean(best), kept, strict=True)])


def contingent_slowly(game: SmallGame, horizon: int, alpha: Fraction) -> list[dict[tuple[int, int, Joint], Fraction]]:
    """For each step from the last to the first, by (state, agent, what the others do): what following pays.

    It is the least that makes the agent's part of the subgame-perfect principal's recommendation its best action then.
    """
    agents = {s: [Fraction(0)] * game.N for s in range(game.states)}
    chooser = {s: Fraction(0) for s in range(game.states)}
    paid = []
    for _ in range(horizon):
        now: dict[tuple[int, int, Joint], Fraction] = {}
        later, chooses = dict(agents), dict(chooser)
        for s in range(game.states):
            q = {j: _then(game, s, j, list(game.rewards[s, j]), later) for j in game.joints}
            value = {
                j: sum(game.rewards[s, j]) / alpha + sum(p * chooses[n] for n, p in game.following[s, j].items())
                for j in game.joints
            }
            told, due, _ = _stage(game, q, value, "principal")
            for i, others in product(range(game.N), product(range(game.A), repeat=game.N - 1)):
                now[s, i, others] = _regret(game, q, (*others[:i], told[i], *others[i:]), i)
            agents[s] = [v + d for v, d in zip(q[told], due, strict=True)]
            chooser[s] = value[told] - sum(due)
        paid.append(now)
    return paid


def _then(game: SmallGame, s: int, j: Joint, now: list[Fraction], values: dict[int, list[Fraction]]) -> list[Fraction]:
    return [now[i] + sum(p * values[n][i] for n, p in game.following[s, j].items()) for i in range(game.N)]


def _regret(game: SmallGame, q: dict[Joint, list[Fraction]], j: Joint, i: int) -> Fraction:
    return max(q[(*j[:i], a, *j[i + 1 :])][i] for a in range(game.A)) - q[j][i]


def _stage(
    game: SmallGame, q: dict[Joint, list[Fraction]], value: dict[Joint, Fraction], rule: str
) -> tuple[Joint, list[Fraction], bool]:
    """The joint action that the rule takes (the first of equals), what each agent is due, and whether it is solved.

    Mixed strategies are not looked for: selfish agents without a pure equilibrium take the smallest largest regret, and
    a stage counts as unsolved in which a principal might prefer a mixed equilibrium.
    """
    regrets = {j: [_regret(game, q, j, i) for i in range(game.N)] for j in game.joints}
    nothing = [Fraction(0)] * game.N
    if rule == "cooperative":
        return max(game.joints, key=lambda j: sum(q[j])), nothing, True
    if rule in ("highest", "lowest"):
        equilibria = [j for j in game.joints if max(regrets[j]) == 0]
        if not equilibria:
            return min(game.joints, key=lambda j: max(regrets[j])), nothing, False
        sign = 1 if rule == "highest" else -1
        return max(equilibria, key=lambda j: sign * sum(q[j])), nothing, True
    if rule == "dominant":
        regrets = {
            j: [max(regrets[k][i] for k in game.joints if k[i] == j[i]) for i in range(game.N)] for j in game.joints
        }
    chosen = max(game.joints, key=lambda j: value[j] - sum(regrets[j]))
    ideal = value[chosen] - sum(regrets[chosen]) == max(value.values())
    pure = any(max(each) == 0 for each in regrets.values())
    return chosen, regrets[chosen], rule == "dominant" or ideal or pure


def _best_reply(
    game: SmallGame, s: int, chosen: Joint, due: list[Fraction], i: int, best: dict[int, list[Fraction]]
) -> Fraction:
    options = []
    for a in range(game.A):
        j = (*chosen[:i], a, *chosen[i + 1 :])
        pay = due[i] if a == chosen[i] else Fraction(0)
        options.append(
            game.rewards[s, j][i] + pay + sum((p * best[n][i] for n, p in game.following[s, j].items()), Fraction(0))
        )
    return max(options)


def largest_regret(payoffs: np.ndarray, strategies: Sequence[np.ndarray]) -> float:
    """What the best deviation of any agent gains, by the definition; `payoffs` (A1, ..., AN, N)."""
    sizes = payoffs.shape[:-1]
    largest = 0.0
    for i in range(len(sizes)):
        values = [0.0] * sizes[i]
        for joint in product(*map(range, sizes)):
            chance = 1.0
            for k, a in enumerate(joint):
                if k != i:
                    chance *= float(strategies[k][a])
            values[joint[i]] += chance * float(payoffs[(*joint, i)])
        followed = sum(float(p) * value for p, value in zip(strategies[i], values, strict=True))
        largest = max(largest, max(values) - followed)
    return largest


def mixed_totals(game: SmallGame) -> list[Fraction]:
    """The total value of every equilibrium of a one-shot game of two, whose supports' indifference has one solution."""
    rows = [[game.rewards[0, (a, b)][0] for b in range(game.A)] for a in range(game.A)]
    columns = [[game.rewards[0, (a, b)][1] for a in range(game.A)] for b in range(game.A)]
    supports = [s for size in range(1, game.A + 1) for s in product([False, True], repeat=game.A) if sum(s) == size]
    totals = []
    for one, other in product(supports, repeat=2):
        x, y = _indifferent(columns, other, one), _indifferent(rows, one, other)
        if x and y and min(x) >= 0 and min(y) >= 0 and _best(rows, x, y) and _best(columns, y, x):
            totals.append(_payoff(rows, x, y) + _payoff(columns, y, x))
    return totals


def _indifferent(payoffs: list[list[Fraction]], mine: tuple[bool, ...], yours: tuple[bool, ...]) -> list[Fraction]:
    """Your probabilities, on `yours`, that make all of `mine` equally good; empty unless exactly one does."""
    played, tied = [j for j, on in enumerate(yours) if on], [a for a, on in enumerate(mine) if on]
    system = [[payoffs[tied[0]][j] - payoffs[a][j] for j in played] + [Fraction(0)] for a in tied[1:]]
    system.append([Fraction(1)] * (len(played) + 1))
    for column in range(len(played)):
        pivot = next((r for r in range(column, len(system)) if system[r][column] != 0), None)
        if pivot is None:
            return []
        system[column], system[pivot] = system[pivot], system[column]
        system[column] = [v / system[column][column] for v in system[column]]
        for r in range(len(system)):
            if r != column:
                factor = system[r][column]
                system[r] = [v - factor * w for v, w in zip(system[r], system[column], strict=True)]
    if any(row[-1] != 0 for row in system[len(played) :]):
        return []
    found = [Fraction(0)] * len(yours)
    for place, j in enumerate(played):
        found[j] = system[place][-1]
    return found


def _payoff(payoffs: list[list[Fraction]], mine: list[Fraction], yours: list[Fraction]) -> Fraction:
    return sum((m * y * payoffs[a][j] for a, m in enumerate(mine) for j, y in enumerate(yours)), Fraction(0))


def _best(payoffs: list[list[Fraction]], mine: list[Fraction], yours: list[Fraction]) -> bool:
    return all(sum(map(mul, row, yours)) <= _payoff(payoffs, mine, yours) for row in payoffs)
