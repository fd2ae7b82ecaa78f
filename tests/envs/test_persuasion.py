"""Persuasion: the rules by hand, chance, the exact solutions, what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, make
from paymaster.benchmarks.measures.exact_solutions import exact
from paymaster.envs.persuasion import Persuasion, State
from paymaster.equilibria.principal.persuasion import Problem, obedient_optimum, problem
from paymaster.equilibria.solve import summary
from paymaster.render.page import text

HIRE, REJECT = 0, 1
LETTER = "persuasion/recommendation-letter"


@pytest.mark.parametrize(
    ("good", "action", "agent", "principal"),
    [(True, HIRE, 2.0, 1.0), (False, HIRE, -3.0, 1.0), (True, REJECT, 0.0, 0.0), (False, REJECT, 0.0, 0.0)],
)
def test_a_step_by_hand(good: bool, action: int, agent: float, principal: float) -> None:
    game = make(LETTER, value_of_good=2.0, cost_of_bad=3.0)
    state = State(np.zeros(1, np.uint64), np.zeros(1, np.int32), np.array([good]), np.array([-1], np.int8))
    following, events = game.step(state, np.array([[action]]))
    assert (game.rewards(events).item(), game.principal_reward(events).item()) == (agent, principal)
    assert game.facts(events).item() == float(action == HIRE)
    assert following.t.item() == 1
    assert f"a {'good' if good else 'bad'} candidate is {'hired' if action == HIRE else 'rejected'}" in text(
        game.scene(following, events, 0)
    )


def test_agents_observe_nothing_and_the_principal_the_candidate() -> None:
    game = make(LETTER)
    state = game.reset(np.arange(3_000, dtype=np.uint64))
    assert (game.observe(state) == [1, 0, 0]).all()
    np.testing.assert_array_equal(game.world(state)[:, 0], state.good)
    for action, seen in ((HIRE, [0, 1, 0]), (REJECT, [0, 0, 1])):
        after, _ = game.step(state, np.full((3_000, 1), action))
        assert (game.observe(after) == seen).all()
    assert abs(state.good.mean() - 1 / 3) < 0.03
    following, _ = game.step(state, np.zeros((3_000, 1), int))
    assert abs(np.corrcoef(state.good, following.good)[0, 1]) < 0.06  # each candidate is drawn anew


# The exact solutions


def test_the_solutions_of_the_letter() -> None:
    """Good ones are recommended, and half of the bad: among those recommended as many are good as bad."""
    rows = summary(make(LETTER))["hidden_state"]
    values = {name: (row["agent_return"], row["principal_return"]) for name, row in rows.items()}
    assert values["told_nothing"] == (0.0, 0.0)
    assert values["told_everything"] == pytest.approx((1 / 3, 1 / 3))
    assert values["persuasion"] == pytest.approx((0.0, 2 / 3), abs=1e-9)
    np.testing.assert_allclose(rows["persuasion"]["in_each_state"], [[0.5, 0.5], [1.0, 0.0]], atol=1e-9)


def test_an_episode_of_many_candidates_counts_each() -> None:
    found = {row.name: row for row in exact(make(LETTER, horizon=10))}
    assert found["signals, obedient optimum"].principal_return == pytest.approx(20 / 3)
    assert found["signals, obedient optimum"].utility(0.1) == pytest.approx(20 / 3)


def test_the_optimum_is_the_best_of_a_fine_grid() -> None:
    """Two states, two actions: no grid point that is obeyed is better, and the optimum is obeyed."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0.0, 1.0, 101)
    for _ in range(30):
        prior = rng.dirichlet([1.0, 1.0])
        asked = Problem(prior, rng.normal(size=(2, 2)), rng.normal(size=(2, 2)))
        found = obedient_optimum(asked)
        assert _disobeyed(asked, found) <= 1e-9
        best = -np.inf
        for first, second in itertools.product(grid, grid):
            tried = np.array([[first, 1 - first], [second, 1 - second]])
            if _disobeyed(asked, tried) <= 1e-12:
                best = max(best, float((prior[:, None] * tried * asked.principal).sum()))
        value = float((prior[:, None] * found * asked.principal).sum())
        assert best - 1e-9 <= value <= best + 0.1


def _disobeyed(asked: Problem, chances: np.ndarray) -> float:
    """The most that the agent gains by another action than one that it is told."""
    often = asked.prior[:, None] * chances
    return max(
        float(often[:, told] @ (asked.agent[:, other] - asked.agent[:, told]))
        for told, other in itertools.product(range(chances.shape[1]), repeat=2)
    )


def test_what_the_game_asks_comes_from_its_rules() -> None:
    asked = problem(make(LETTER))
    np.testing.assert_allclose(asked.prior, [2 / 3, 1 / 3])
    np.testing.assert_array_equal(asked.agent, [[-1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(asked.principal, [[1.0, 0.0], [1.0, 0.0]])


def test_what_is_refused() -> None:
    game: Any = make(LETTER)
    assert isinstance(game, Persuasion)
    with pytest.raises(UsageError, match="by the step: leave it out"):
        summary(game, discount=0.9)
    with pytest.raises(UsageError, match="actions from 2 to 2"):
        game.step(game.reset(np.zeros(1, np.uint64)), np.array([[2]]))
    with pytest.raises(UsageError, match="solved for one agent, and the game has 2"):
        problem(make("matrix/chicken"))
