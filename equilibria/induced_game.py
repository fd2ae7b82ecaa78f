"""The game that a mechanism induces among the agents: exact values, best responses and equilibria. Nothing is sampled.

A mechanism without memory changes the rewards of every (state, joint action) and nothing else: the induced game is a
table again, with the same transitions. Its equilibria are those that the contract really implements, whatever its
principal recommends.

With a discount values are those of the game that never ends, on which agents train whose horizon only truncates;
without one they are undiscounted over the horizon. Welfare and payments are always undiscounted over the horizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..contracts.loop import Principal
from ..contracts.mechanism import Decisions, Mechanism, Transition
from ..core.arrays import take
from ..core.config import UsageError
from ..envs.game import Game
from .markov.best_response import action_values, deviation_gains, stationary_best_response
from .markov.best_response_dynamics import iterated_best_response
from .markov.evaluation import Evaluation, evaluate_policy
from .markov.policies import Mixed
from .solve import solve
from .tables.table import Table, Tabular, tabular
from .tables.tabulate import plays, tabulate

RULES = ("highest", "lowest")  # that select among the equilibria of every stage game


class InducedGame(NamedTuple):
    """A game of S states, N agents and J joint actions, under a mechanism."""

    table: Table  # the game alone: its rewards add up to welfare
    earned: Table  # the game with the rewards that agents learn from, the mechanism's incomes included
    payments: np.ndarray  # (S, J, N) from the principal, expected
    decisions: Decisions | None  # (S, N) recommended and promised by the principal, if there is one
    horizon: int
    discount: float | None


class BestResponses(NamedTuple):
    """Each agent's best response while the others follow a policy; T is 1 where values are stationary."""

    kept: np.ndarray  # (N,) an agent's value of following the policy too, averaged over the starts
    best: np.ndarray  # (N,) its value of its best response
    now: np.ndarray  # (N,) its largest one-shot deviation gain in any reachable state
    lost: np.ndarray  # (T, S, N, A) the regret of each action: the value of the best response less the action's

    @property
    def gains(self) -> np.ndarray:
        """(N,): the deviation gains."""
        return np.maximum(self.best - self.kept, 0.0)


class Equilibrium(NamedTuple):
    """A policy that is an equilibrium as far as its deviation gain is zero."""

    found: str  # by which rule, or from which start
    evaluation: Evaluation
    gain: float  # the largest deviation gain of any agent; zero, but for rounding, in an equilibrium


def induce(
    game: Game, mechanism: Mechanism, principal: Principal | None = None, *, discount: float | None = None
) -> InducedGame:
    """The game that `mechanism` induces on `game`, as tables.

    The principal and the mechanism decide for one representative of each class of symmetric states. Raises UsageError
    for a game without a table, and for a mechanism that remembers more than the state.
    """
    if why := beyond_tables(mechanism):
        name = type(mechanism).__name__
        raise UsageError(f"{name} cannot be judged exactly, since it {why}; ask for a mechanism that does not")
    table, listed = tabulate(game), tabular(game)
    decisions = principal(game, listed.representatives()) if principal else None
    incomes, payments = _incomes(listed, mechanism, decisions, table.actions)
    earned = table._replace(rewards=table.rewards + incomes)
    return InducedGame(table, earned, payments, decisions, game.horizon, discount)


def beyond_tables(mechanism: Mechanism) -> str:
    """Why the game that a mechanism induces is no table of the game's own states; empty where it is one."""
    if mechanism.needs_values:
        return "needs value estimates"
    if mechanism.needs_probabilities:
        return "needs the agents' probabilities"
    if type(mechanism).act is not Mechanism.act:
        return "acts for agents"
    memory = mechanism.start(np.zeros(1, np.uint64))
    return "" if isinstance(memory, tuple) and not memory else "remembers more than the game's state"


def evaluate(game: InducedGame, actions: np.ndarray, mixed: Mixed | None = None) -> Evaluation:
    """The returns and payments of an episode of the policy `actions`, (S, N) or (T, S, N), with its `mixed` states."""
    unpaid = np.zeros(actions.shape)
    earned, paid = (
        evaluate_policy(game.table._replace(rewards=rewards), actions, unpaid, game.horizon, mixed=mixed).returns
        for rewards in (game.table.rewards, game.payments)
    )
    return Evaluation(earned, paid)


def best_responses(game: InducedGame, actions: np.ndarray) -> BestResponses:
    """Each agent's best response while the others follow the stationary policy `actions` (S, N)."""
    start, there = game.table.start, _reached(game)
    kept, best, now, lost = [], [], [], []
    for agent in range(actions.shape[1]):
        following, replying = _action_values(game, actions, agent)
        value, most = _taken(following, actions, agent), replying.max(axis=2)
        kept.append(start @ value[0])
        best.append(start @ most[0])
        now.append((following.max(axis=2) - value)[there].max(initial=0.0))
        lost.append(most[..., None] - replying)
    return BestResponses(np.array(kept), np.array(best), np.array(now), np.stack(lost, axis=2))


def obedience(game: InducedGame, recommended: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N,): each agent's value of obedience, and of its best response, while others play `others` (S, N)."""
    start, values = game.table.start, []
    for agent in range(recommended.shape[1]):
        mixed = others.copy()
        mixed[:, agent] = recommended[:, agent]
        following, replying = _action_values(game, mixed, agent)
        values.append((start @ _taken(following, mixed, agent)[0], start @ replying[0].max(axis=1)))
    kept, best = np.array(values).T
    return kept, best


def equilibria(game: InducedGame, starts: Mapping[str, np.ndarray]) -> list[Equilibrium]:
    """Equilibria of the induced game, or policies in their place, each with its deviation gain.

    First those of the two rules of selection; then those that iterated best response reaches from each of the `starts`,
    policies (S, N).
    """
    found = []
    for rule in RULES:
        solution = solve(game.earned, rule, game.horizon, discount=game.discount)
        gain = float(solution.gains.max())
        found.append(Equilibrium(rule, evaluate(game, solution.actions, solution.mixed), gain))
    for name, actions in starts.items():
        reached = iterated_best_response(game.earned, actions, game.horizon, discount=game.discount)
        unpaid = np.zeros(reached.shape)  # the payments are part of `earned`
        gains = deviation_gains(game.earned, reached, unpaid, game.horizon, discount=game.discount)
        found.append(Equilibrium(f"from {name}", evaluate(game, reached), float(gains.max())))
    return found


def _incomes(
    game: Tabular, mechanism: Mechanism, decisions: Decisions | None, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(S, J, N) and (S, J, N): the mechanism's income of each agent, and the principal's payments in it."""
    incomes, payments = [], []
    for played in plays(game, actions):
        keys = np.zeros(len(played.row), np.uint64)
        given = decisions and take(decisions, played.states[played.row])
        terms, memory = mechanism.offer(mechanism.start(keys), played.state, given)
        rewards, terminated = game.rewards(played.events), game.terminated(played.following)
        transition = Transition(
            played.state, terms, played.actions, played.events, rewards, played.following,
            terminated, np.zeros_like(terminated),
        )  # fmt: skip
        ledger, _ = mechanism.settle(memory, transition)
        incomes.append(played.expected(ledger.income()))
        payments.append(played.expected(ledger.payments))
    shape = (game.states, *actions.shape)
    return np.concatenate(incomes).reshape(shape), np.concatenate(payments).reshape(shape)


def _action_values(game: InducedGame, actions: np.ndarray, agent: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, S, A) twice: an agent's value of each action if it then follows `actions`, or its best response."""
    table, joint = game.earned, game.earned.joint(actions)
    if game.discount is not None:
        kept, _ = stationary_best_response(table, joint, np.zeros(actions.shape), agent, game.discount, improve=False)
        best, _ = stationary_best_response(table, joint, np.zeros(actions.shape), agent, game.discount, values=kept)
        both = (action_values(table, joint, agent, values, game.discount)[None] for values in (kept, best))
        return next(both), next(both)
    following = np.empty((game.horizon, table.states, table.action_count))
    replying = np.empty_like(following)
    kept, best = np.zeros(table.states), np.zeros(table.states)
    for t in reversed(range(game.horizon)):
        following[t] = action_values(table, joint, agent, kept, 1.0)
        replying[t] = action_values(table, joint, agent, best, 1.0)
        kept, best = _taken(following[t : t + 1], actions, agent)[0], replying[t].max(axis=1)
    return following, replying


def _taken(values: np.ndarray, actions: np.ndarray, agent: int) -> np.ndarray:
    """(T, S): of the `values` (T, S, A), those of the actions that an agent takes."""
    return np.take_along_axis(values, actions[None, :, agent, None], axis=2)[..., 0]


def _reached(game: InducedGame) -> np.ndarray:
    """The reachable states: (T, S) bool by step, or (1, S) at any step where values are stationary."""
    table, there = game.table, game.table.start > 0.0
    distribution = table.distributions
    steps = [there]
    for _ in range(game.horizon - 1):
        possible = np.zeros(len(table.offsets) - 1, bool)
        possible[table.following[there]] = True
        there = np.zeros_like(there)
        there[table.successors[possible[distribution]]] = True
        steps.append(there)
    return np.array(steps) if game.discount is None else np.any(steps, axis=0, keepdims=True)
