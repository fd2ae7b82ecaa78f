"""Escape Room: the rules as pictures and by a plain twin, exact equilibria, the end of an episode, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymaster import UsageError, make_mechanism
from paymaster.contracts.loop import Simulation
from paymaster.envs import make
from paymaster.envs.escape_room import EscapeRoom, State
from paymaster.equilibria.solve import summary
from paymaster.render.page import text

LEVER, START, DOOR = range(3)

# The rules as pictures


def at(*places: str) -> State:
    """A state from a picture: a row for each agent, which stands where the row has an x."""
    return State(
        np.zeros(1, np.uint64), np.ones(1, np.int32), np.array([[place.index("x") for place in places]], np.int8)
    )


@pytest.mark.parametrize(
    ("before", "after", "rewards", "ends"),
    [
        (".x. .x.", "x.. ..x", [-1, 10], True),  # one pulls the lever, the other escapes
        (".x. .x.", "..x ..x", [-1, -1], False),  # nobody pulls it
        (".x. .x.", "x.. x..", [-1, -1], False),  # both pull it, nobody goes
        (".x. .x.", ".x. .x.", [0, 0], False),  # to stay is free
        ("x.. .x.", "x.. ..x", [0, 10], True),  # to stay at the lever too
        (".x. ..x", "x.. ..x", [-1, 10], True),  # one who waits at the door need not move
        ("x.. .x.", ".x. ..x", [-1, -1], False),  # the lever is held no more
        ("x.. ..x", "..x x..", [10, -1], True),  # they change places
        (".x. .x. .x.", "x.. x.. ..x", [-1, -1, 10], True),
        (".x. .x. .x.", "x.. .x. ..x", [-1, 0, -1], False),  # one is too few at the lever
        ("x.. x.. x..", "x.. x.. .x.", [0, 0, -1], False),
    ],
)
def test_a_step(before: str, after: str, rewards: list[float], ends: bool) -> None:
    game = make("escape_room/2-1" if len(before.split()) == 2 else "escape_room/3-2")
    state, goal = at(*before.split()), at(*after.split())
    state, events = game.step(state, goal.places.astype(int))
    np.testing.assert_array_equal(state.places, goal.places)
    assert game.rewards(events).tolist() == [rewards]
    assert game.principal_reward(events).tolist() == [sum(rewards)]
    assert game.terminated(state).tolist() == [ends]
    escaped = [reward == 10 for reward in rewards]
    np.testing.assert_array_equal(game.facts(events)[0, :, 0], goal.places[0] == LEVER)
    np.testing.assert_array_equal(game.facts(events)[0, :, 1], escaped)


# The plain twin


class Twin:
    """One episode, with names and lists only."""

    def __init__(self, game: EscapeRoom) -> None:
        self.game, self.places = game, ["start"] * game.players

    def step(self, chosen: list[str]) -> tuple[list[float], bool]:
        is_open = len([place for place in chosen if place == "lever"]) >= self.game.min_at_lever
        rewards = []
        for here, there in zip(self.places, chosen, strict=True):
            if there == "door" and is_open:
                rewards.append(self.game.escape_reward)
            else:
                rewards.append(0.0 if here == there else -self.game.move_cost)
        self.places = chosen
        return rewards, is_open and "door" in chosen

    def see(self, i: int) -> list[int]:
        everyone = [self.places[i], *self.places[:i], *self.places[i + 1 :]]
        who = [int(j == i) for j in range(len(self.places))]
        return [*(int(place == name) for place in everyone for name in ("lever", "start", "door")), *who]


@st.composite
def rooms(draw: st.DrawFn) -> EscapeRoom:
    players = draw(st.integers(2, 5))
    at_lever = draw(st.integers(1, players - 1))
    reward, cost = draw(st.integers(-3, 12)), draw(st.integers(0, 3))
    return EscapeRoom(players=players, min_at_lever=at_lever, escape_reward=float(reward), move_cost=float(cost))


@settings(max_examples=100, deadline=None)
@given(rooms(), st.integers(0, 1000))
def test_rooms_agree_with_their_twin(game: EscapeRoom, seed: int) -> None:
    """Whether anyone has escaped is asked after every step, but the twins play on, as the table of the solver does."""
    B, N = 4, game.players
    twins = [Twin(game) for _ in range(B)]
    state = game.reset(np.arange(B, dtype=np.uint64))
    for t in range(5):
        seen = game.observe(state)
        assert seen.tolist() == [[twin.see(i) for i in range(N)] for twin in twins]
        assert game.world(state).tolist() == [twin.see(0)[:-N] for twin in twins]
        assert all(game.observation_space.contains(each) for each in seen.reshape(B * N, -1))
        actions = np.random.default_rng([seed, t]).integers(3, size=(B, N))
        state, events = game.step(state, actions)
        outcomes = [twin.step([game.action_names[a] for a in row]) for twin, row in zip(twins, actions, strict=True)]
        assert game.rewards(events).tolist() == [rewards for rewards, _ in outcomes]
        assert game.terminated(state).tolist() == [ended for _, ended in outcomes]


# Exact equilibria


@pytest.mark.parametrize(
    ("rules", "optimum", "paid"),
    [
        ({}, 9, 1),
        ({"players": 3, "min_at_lever": 2}, 8, 2),
        ({"players": 4, "min_at_lever": 1}, 29, 1),
        ({"horizon": 1}, 9, 1),
        ({"move_cost": 4.0}, 6, 4),
        ({"players": 3, "min_at_lever": 2, "escape_reward": 1.0}, 0, 0),  # not worth the lever's two moves
    ],
)
def test_exact_values(rules: dict[str, Any], optimum: float, paid: float) -> None:
    """`10 (N - M) - M`. Nobody pulls the lever for nothing; a principal pays each of the M for its way there.

    No more, since who does not pull it now is paid no more for it later, up to the last step.
    """
    found = summary(make("escape_room/2-1", **rules))
    assert found["states"] == 3 ** rules.get("players", 2)
    assert found["cooperative"]["welfare"] == pytest.approx(optimum)
    assert found["selfish"]["highest"]["welfare"] == pytest.approx(0)
    assert [found["principal"][what] for what in ("welfare", "payment")] == pytest.approx([optimum, paid])
    assert found["selfish"]["highest"]["gain"] == found["principal"]["gain"] == pytest.approx(0)


@pytest.mark.parametrize("players", [2, 3])
def test_states_are_the_places_of_all(players: int) -> None:
    game = EscapeRoom(players=players)
    every = game.representatives()
    assert game.states == len(every.places) == 3**players
    np.testing.assert_array_equal(game.index(every), np.arange(game.states))
    assert game.index(game.reset(np.zeros(1, np.uint64))) == (3**players - 1) // 2, "all ones to the base of three"


# The end, the picture, what is refused


@pytest.mark.parametrize("truncates", [False, True])
def test_episodes_end_when_someone_escapes_or_at_the_horizon(truncates: bool) -> None:
    game = make("escape_room/2-1", truncates=truncates)
    playing = Simulation(game, make_mechanism("selfish", game), 2, seed=0)
    first = playing.step(np.array([[LEVER, DOOR], [START, START]]))
    assert first.transition.terminated.tolist() == [True, False]
    assert first.episodes is not None
    assert first.episodes.returns.tolist() == [[-1, 10]]
    assert first.episodes.length.tolist() == [1]
    for _ in range(4):
        step = playing.step(np.array([[START, START], [START, DOOR]]))
    assert step.transition.terminated.tolist() == [False, not truncates]
    assert step.transition.truncated.tolist() == [False, truncates]
    assert step.episodes is not None
    assert step.episodes.length.tolist() == [5]
    assert step.episodes.returns.tolist() == [[0, -1]], "who waits at the door pays for the way once"


def test_the_picture() -> None:
    game = EscapeRoom()
    state = game.reset(np.zeros(1, np.uint64))
    assert text(game.scene(state, None, 0)) == "L r D\nL b D\nstep 0"
    state, events = game.step(state, np.array([[LEVER, DOOR]]))
    told = "step 1; door open; agent_0 stays behind: -1; agent_1 escapes: 10"
    assert text(game.scene(state, events, 0)) == f"r . D\nL . b\n{told}"


def test_actions_that_are_not_allowed() -> None:
    game = EscapeRoom()
    with pytest.raises(UsageError, match=r"actions from 0 to 3 .* 0 to 2 are allowed \(lever, start, door\)"):
        game.step(game.reset(np.zeros(1, np.uint64)), np.array([[0, 3]]))


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"min_at_lever": 2}, "min_at_lever 2 leaves none of 2 players to escape; ask for at most 1, or for more"),
        ({"min_at_lever": 0}, r"min_at_lever.*got 0"),
        ({"move_cost": -1.0}, r"move_cost.*got -1.0"),
        ({"lever": 1}, "unknown parameter of game escape_room/2-1 'lever'. Did you mean 'min_at_lever'"),
    ],
)
def test_rules_that_are_not_allowed(rules: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make("escape_room/2-1", **rules)
