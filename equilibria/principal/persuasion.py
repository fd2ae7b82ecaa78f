"""What signals about a state that the agent does not observe can do: Bayesian persuasion, exactly.

A sender sees the state, and commits to the chances with which it recommends each action in each state. The agent obeys
if no recommendation, once made, makes another action better by what it then believes. These constraints are linear in
the chances, so that the best signals are a linear programme (Kamenica and Gentzkow 2011, "Bayesian persuasion";
Bergemann and Morris 2019, section 3).
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog

from ...core.config import UsageError
from ...envs.game import Game
from ..tolerances import UTILITY_TIE


class Problem(NamedTuple):
    """One decision of one agent, about a state that it does not observe."""

    prior: np.ndarray  # (S,) the chances of the states
    agent: np.ndarray  # (S, A) its reward in each state for each action
    principal: np.ndarray  # (S, A) the sender's


def problem(game: Game) -> Problem:
    """The decision of a game with a hidden state, by its rules.

    The game has a `prior` (S,) and `representatives`, a state for each. Raises UsageError where several agents act.
    """
    if len(game.agents) != 1:
        raise UsageError(f"signals about a hidden state are solved for one agent, and the game has {len(game.agents)}")
    prior, states = np.asarray(game.prior), game.representatives()  # type: ignore[attr-defined]
    agent, principal = [], []
    for action in range(len(game.action_names)):
        _, events = game.step(states, np.full((len(prior), 1), action))
        agent.append(game.rewards(events)[:, 0])
        principal.append(game.principal_reward(events))
    return Problem(prior, np.stack(agent, axis=1).astype(float), np.stack(principal, axis=1).astype(float))


def told_nothing(asked: Problem) -> np.ndarray:
    """(S, A): the agent's action by what it believes at first; of equally good ones what the principal prefers."""
    return np.tile(_answer(asked.prior @ asked.agent, asked.prior @ asked.principal), (len(asked.prior), 1))


def told_everything(asked: Problem) -> np.ndarray:
    """(S, A): the agent's action where it knows the state."""
    return np.stack([_answer(own, sent) for own, sent in zip(asked.agent, asked.principal, strict=True)])


def social_optimum(asked: Problem) -> np.ndarray:
    """(S, A): the action of the highest sum of both rewards in each state; of equals what the agent prefers."""
    return np.stack([_answer(own + sent, own) for own, sent in zip(asked.agent, asked.principal, strict=True)])


def obedient_optimum(asked: Problem) -> np.ndarray:
    """(S, A): the chances of recommending each action in each state that are best for the principal and obeyed."""
    S, A = asked.agent.shape
    gains = np.zeros((A, A, S, A))  # what the agent gains by another action where it is told one
    for told in range(A):
        gains[told, :, :, told] = asked.prior * (asked.agent - asked.agent[:, [told]]).T
    rows = gains.reshape(A * A, S * A)
    largest = np.abs(rows).max(axis=1)
    rows = rows[largest > 0.0] / largest[largest > 0.0, None]  # the solver's tolerances are absolute
    cost = -(asked.prior[:, None] * asked.principal).ravel()
    totals = np.kron(np.eye(S), np.ones(A))
    found = linprog(cost, A_ub=rows, b_ub=np.zeros(len(rows)), A_eq=totals, b_eq=np.ones(S), method="highs")
    if not found.success or found.x is None:  # telling everything is obeyed: what fails is arithmetic
        raise ArithmeticError(f"the linear programme of the obedient optimum was not solved: {found.message}")
    chances = np.maximum(found.x, 0.0).reshape(S, A)
    return chances / chances.sum(axis=1, keepdims=True)


def summary(game: Game, discount: float | None = None) -> dict[str, Any]:
    """What comes of no signals, of the truth and of the best signals, for a whole episode, as JSON-ready values.

    `actions` holds the chance of each action. Raises UsageError with a discount, and as `problem` does.
    """
    if discount is not None:
        raise UsageError(f"discount: got {discount}; signals about a hidden state are solved by the step: leave it out")
    began = time.perf_counter()
    asked = problem(game)
    rows = {
        "social_optimum": social_optimum(asked),
        "told_nothing": told_nothing(asked),
        "told_everything": told_everything(asked),
        "persuasion": obedient_optimum(asked),
    }
    found = {name: _row(asked, done, game.horizon) for name, done in rows.items()}
    found["social_optimum"]["payment"] = None
    return {
        "states": len(asked.prior), "horizon": game.horizon, "discount": None, "alpha": 1.0,
        "action_names": list(game.action_names), "seconds": round(time.perf_counter() - began, 3),
        "hidden_state": found,
    }  # fmt: skip


def _answer(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(A,): the best action by `first` (A,), for certain; of equally good ones the best by `second`."""
    best = np.where(first >= first.max() - UTILITY_TIE, second, -np.inf).argmax()
    return np.eye(len(first))[best]


def _row(asked: Problem, done: np.ndarray, horizon: int) -> dict[str, Any]:
    often = asked.prior[:, None] * done
    return {
        "agent_return": horizon * float((often * asked.agent).sum()),
        "principal_return": horizon * float((often * asked.principal).sum()),
        "payment": 0.0,
        "actions": often.sum(axis=0).tolist(),
        "in_each_state": done.tolist(),
    }
