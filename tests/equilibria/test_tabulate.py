"""Tables from rules: every step that is played is in the table, with the right probability and reward."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from paymaster import UsageError, make
from paymaster.core.random import episode_keys
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.table import Table
from paymaster.equilibria.tables.tabulate import tabulate


@pytest.mark.parametrize(
    ("id", "rules"),
    [
        ("coin_game/ivanov-3x3", {}),
        ("coin_game/rllib-3x3", {}),
        ("coin_game/lola-3x3", {}),
        ("coin_game/mate-2", {}),
        ("coin_game/ivanov-3x3", {"grid_size": 2, "players": 3, "next_colour": "uniform"}),
        ("coin_game/ivanov-3x3", {"grid_size": 2, "coins": "one-each", "stay": True, "new_coin": "any"}),
    ],
)
def test_every_step_that_is_played_is_in_the_table(id: str, rules: dict) -> None:
    game: Any = make(id, **rules)
    table = tabulate(game)
    B, T, J = 1000, 40, len(table.actions)
    dice = np.random.default_rng(5)
    state = game.reset(episode_keys(1, 0, np.arange(B), np.zeros(B, np.int64)))
    rows, nexts, rewards, facts = [], [], [], []
    for _ in range(T):
        actions = table.actions[dice.integers(J, size=B)]
        following, events = game.step(state, actions)
        rows.append(game.index(state) * J + table.joint(actions))
        facts.append(game.facts(events))
        nexts.append(game.index(following))
        rewards.append(game.rewards(events))
        state = following
    row, successor = np.concatenate(rows), np.concatenate(nexts)
    earned = np.concatenate([np.concatenate(rewards)[:, :, None], np.concatenate(facts)], axis=2)
    _agrees(table, row, successor, earned)


def _agrees(table: Table, row: np.ndarray, successor: np.ndarray, earned: np.ndarray) -> None:
    """Each edge played is in the table, and is played as often as its probability says; so are rewards and facts."""
    S, rows = table.states, table.following.size
    counts = np.diff(table.offsets)[table.following.ravel()]
    first = np.repeat(table.offsets[table.following.ravel()] - np.cumsum(counts) + counts, counts)
    entry = first + np.arange(counts.sum())
    edges, probabilities = np.repeat(np.arange(rows), counts) * S + table.successors[entry], table.probabilities[entry]
    played = np.bincount(row, minlength=rows)
    place = np.searchsorted(edges, row * S + successor)
    assert (edges[place] == row * S + successor).all()
    seen, expected = np.bincount(place, minlength=len(edges)), played[edges // S] * probabilities
    spread = np.sqrt(expected * (1 - probabilities))
    assert (np.abs(seen - expected) <= 6 * spread + 6).all()
    certain = spread == 0
    assert (seen[certain] == expected[certain]).all()
    enough = played[edges // S] > 0
    chance = spread[enough & ~certain] ** 2
    assert ((seen - expected)[enough & ~certain] ** 2).sum() == pytest.approx(chance.sum(), rel=0.25)
    flat = np.concatenate([table.rewards[..., None], table.facts], axis=3).reshape(rows, *earned.shape[1:])
    for i in np.ndindex(earned.shape[1:]):
        assert earned[:, *i].sum() == pytest.approx(flat[row][:, *i].sum(), abs=6 * np.sqrt(len(row)) * 0.5)


@pytest.mark.parametrize("id", ["coin_game/ivanov-3x3", "coin_game/mate-2"])
def test_probabilities_sum_to_one_and_starts_are_as_often_as_they_should(id: str) -> None:
    game: Any = make(id)
    table = tabulate(game)
    np.testing.assert_allclose(np.add.reduceat(table.probabilities, table.offsets[:-1]), 1.0, atol=1e-12)
    assert table.start.sum() == pytest.approx(1.0)
    B = 40_000
    state = game.reset(episode_keys(2, 0, np.arange(B), np.zeros(B, np.int64)))
    seen = np.bincount(game.index(state), minlength=game.states)
    assert not seen[table.start == 0].any()
    spread = np.sqrt(B * table.start)
    assert (np.abs(seen - B * table.start) <= 6 * spread + 3).all()


def test_the_table_of_the_coin_game_is_small() -> None:
    """Relative positions and colour: 2 x 9 x 9 states, 16 joint actions, 144 distributions over what follows."""
    table = tabulate(make("coin_game/ivanov-3x3"))
    assert table.rewards.shape == (162, 16, 2)
    assert table.actions[6].tolist() == [1, 2]
    assert table.joint(table.actions).tolist() == list(range(16))
    np.testing.assert_allclose(table.objective, table.rewards.sum(axis=2), atol=1e-6)
    assert table.following.shape == (162, 16)
    assert len(np.unique(table.following)) == len(table.offsets) - 1 < 162
    assert table.nbytes < 200_000


class Place(NamedTuple):
    at: np.ndarray


class Coins(NamedTuple):
    pay: np.ndarray


class Walk:
    """Two agents at place 0 or 1; if both go on (1), a coin decides between place 1, paid 1, and the end, paid 3."""

    agents, action_names, states, horizon = ("a", "b"), ("stop", "go"), 2, 5

    def representatives(self) -> Place:
        return Place(np.arange(2))

    def index(self, state: Place) -> np.ndarray:
        return state.at

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> Place:
        return Place(draws[:, 0].astype(int))

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([[0.0], [1.0]]), np.array([0.75, 0.25])

    def outcomes(self, state: Place, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = actions.min(axis=1) > 0
        draws = np.tile([[0.0], [1.0]], (len(both), 1, 1))
        return draws, np.where(both[:, None], [0.5, 0.5], [1.0, 0.0])

    def play(self, state: Place, actions: np.ndarray, draws: np.ndarray) -> tuple[Place, Coins]:
        both, ended = actions.all(axis=1), draws[:, 0] > 0.5
        at = np.where(both, np.where(ended, 7, 1), state.at)
        return Place(at), Coins(np.where(both, np.where(ended, 3.0, 1.0), 0.0))

    verifiable = ("paid", "stopped")

    def facts(self, events: Coins) -> np.ndarray:
        paid = events.pay > 0
        return np.repeat(np.stack([paid, ~paid], axis=1)[:, None], 2, axis=1).astype(np.float32)

    def rewards(self, events: Coins) -> np.ndarray:
        return np.stack([events.pay, 2 * events.pay], axis=1)

    def principal_reward(self, events: Coins) -> np.ndarray:
        return 10 * events.pay

    def terminated(self, state: Place) -> np.ndarray:
        return state.at == 7


def test_an_end_takes_its_probability_out_of_the_table() -> None:
    game: Any = Walk()
    table = tabulate(game)
    assert table.start.tolist() == [0.75, 0.25]
    assert table.rewards[0].tolist() == [[0, 0], [0, 0], [0, 0], [2, 4]]
    assert table.objective[1].tolist() == [0, 0, 0, 20]
    assert table.facts[0, :, 1].tolist() == [[0, 1], [0, 1], [0, 1], [1, 0]]
    assert table.following.tolist() == [[0, 0, 0, 1], [2, 2, 2, 1]]  # to place 0; to place 1 or the end; to place 1
    assert table.offsets.tolist() == [0, 1, 2, 3]
    assert table.successors.tolist() == [0, 1, 1]
    assert table.probabilities.tolist() == [1, 0.5, 1]
    assert solve(table, "cooperative", 2).welfare == 6 + 3


def test_a_table_made_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    game = make("coin_game/ivanov-3x3")
    whole = tabulate(game)
    monkeypatch.setattr("paymaster.equilibria.tables.tabulate.PLAYS", 1000)
    for one, other in zip(whole, tabulate(game), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_game_too_large_says_how_many_states_it_has_and_what_would_fit() -> None:
    with pytest.raises(UsageError, match=r"162 states .* room for about \d+ states"):
        tabulate(make("coin_game/ivanov-3x3"), memory=100_000)
    with pytest.raises(UsageError, match="states"):
        tabulate(make("coin_game/ivanov-3x3", grid_size=60))


def test_a_game_without_outcomes_cannot_be_tabulated() -> None:
    game: Any = object()
    with pytest.raises(UsageError, match="does not list the outcomes"):
        tabulate(game)
