"""The tree: its rules as pictures and by hand, what is drawn of it, and that only outcomes are verifiable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, make
from paymaster.core.random import episode_keys, uniform
from paymaster.envs.tree import LEFT, RIGHT, State, Tree
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.render.page import text

from .plain_grid import uniform as plain_uniform

SMALL = Tree(horizon=2, accuracy=0.75)


def at(*nodes: int, game: Tree = SMALL) -> State:
    """The states at `nodes`."""
    node = np.array(nodes)
    return State(np.arange(len(nodes), dtype=np.uint64), np.array([n.bit_length() - 1 for n in nodes]), node)


def play(game: Tree, nodes: list[int], actions: list[int], draws: list[float]) -> tuple[State, Any]:
    return game.play(at(*nodes), np.array(actions)[:, None], np.array(draws)[:, None])


# The rules


def test_children_of_a_node_are_twice_it_and_one_more() -> None:
    following, events = play(SMALL, [1, 1, 2, 3], [LEFT, RIGHT, LEFT, RIGHT], [0.9, 0.1, 0.9, 0.1])
    assert following.node.tolist() == [2, 3, 4, 7]
    assert events.outcome.tolist() == [LEFT, RIGHT, LEFT, RIGHT]
    assert SMALL.terminated(following).tolist() == [False, False, True, True]


def test_one_goes_where_one_aims_with_the_given_accuracy() -> None:
    """Aiming right goes right on draws below 0.75, aiming left on draws below 0.25."""
    _, events = play(SMALL, [1] * 4, [RIGHT, RIGHT, LEFT, LEFT], [0.74, 0.75, 0.24, 0.25])
    assert events.outcome.tolist() == [RIGHT, LEFT, RIGHT, LEFT]
    B = 20_000
    state = SMALL.reset(episode_keys(0, 0, np.arange(B), np.zeros(B, np.int64)))
    for aim, share in ((LEFT, 0.25), (RIGHT, 0.75)):
        went = SMALL.step(state, np.full((B, 1), aim))[1].outcome.mean()
        assert went == pytest.approx(share, abs=4 * np.sqrt(0.25 * 0.75 / B))


def test_aiming_right_costs_and_going_right_is_worth_something() -> None:
    _, events = play(SMALL, [3] * 4, [LEFT, LEFT, RIGHT, RIGHT], [0.9, 0.1, 0.9, 0.1])
    cost, value = SMALL.costs[3], SMALL.values[3]
    np.testing.assert_allclose(SMALL.rewards(events)[:, 0], [0, 0, -cost, -cost], rtol=1e-6)
    np.testing.assert_allclose(SMALL.principal_reward(events), [0, value, 0, value], rtol=1e-6)


def test_only_the_outcome_is_verifiable() -> None:
    """Facts are the same whatever was aimed at."""
    _, events = play(SMALL, [1] * 4, [LEFT, RIGHT, LEFT, RIGHT], [0.9, 0.9, 0.1, 0.1])
    assert events.aimed.tolist() == [LEFT, RIGHT, LEFT, RIGHT]
    assert SMALL.facts(events)[:, 0].tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_an_episode_ends_after_as_many_decisions_as_the_tree_is_deep() -> None:
    game = make("tree/ivanov-d10")
    state = game.reset(np.arange(50, dtype=np.uint64))
    dice = np.random.default_rng(0)
    for t in range(10):
        assert not game.terminated(state).any(), t
        state, _ = game.step(state, dice.integers(0, 2, (50, 1)))
    assert game.terminated(state).all()
    assert game.observe(state).ravel().tolist() == [1024] * 50, "the class of the end"
    assert not game.truncates
    assert game.horizon == 10


# What is drawn of it


def test_a_trees_numbers_are_drawn_from_its_seed() -> None:
    """u ~ U[0, m - v] with v ~ U[0, m], written out for a node."""
    game, node, key = Tree(tree=7), 300, np.uint64(7)
    v, w, x, y = (uniform(key, node, slot) for slot in range(4))
    assert game.costs[node] == pytest.approx((1 - v) * w)
    assert game.values[node] == pytest.approx((2 - 2 * x) * y)
    np.testing.assert_array_equal(game.costs, Tree(tree=7).costs)
    assert not np.isin(game.costs[1:], Tree(tree=8).costs).any()


def test_the_drawn_numbers_have_their_distributions() -> None:
    """The mean of (m - v) w is m / 4, that of its square m^2 / 9."""
    costs = np.concatenate([Tree(tree=tree).costs[1:] for tree in range(20)])
    values = np.concatenate([Tree(tree=tree).values[1:] for tree in range(20)])
    for drawn, most in ((costs, 1.0), (values, 2.0)):
        spread = most * np.sqrt((1 / 9 - 1 / 16) / len(drawn))
        assert drawn.mean() == pytest.approx(most / 4, abs=4 * spread)
        assert (drawn**2).mean() == pytest.approx(most**2 / 9, rel=0.03)
        assert drawn.min() >= 0
        assert drawn.max() <= most
    assert abs(np.corrcoef(costs, values)[0, 1]) < 4 / np.sqrt(len(costs))


def test_the_same_key_and_actions_give_the_same_walk() -> None:
    game, keys = make("tree/ivanov-d10"), np.arange(30, dtype=np.uint64)
    dice = np.random.default_rng(3).integers(0, 2, (10, 30, 1))
    together, alone = game.reset(keys), [game.reset(keys[b : b + 1]) for b in range(30)]
    for actions in dice:
        together, _ = game.step(together, actions)
        alone = [game.step(state, actions[b : b + 1])[0] for b, state in enumerate(alone)]
    assert together.node.tolist() == [int(state.node[0]) for state in alone]
    assert len(set(together.node.tolist())) > 20


# The plain twin


class Twin:
    """One walk down the tree, with numbers only; its draws are written out (`plain_grid.uniform`)."""

    def __init__(self, game: Tree, key: int) -> None:
        self.game, self.key, self.t, self.node = game, key, 0, 1

    def between(self, slot: int, most: float) -> float:
        """u ~ U[0, most - v] with v ~ U[0, most], of the node at which the agent stands."""
        v = most * plain_uniform(self.game.tree, self.node, slot)
        return (most - v) * plain_uniform(self.game.tree, self.node, slot + 1)

    def step(self, aim: str) -> tuple[float, float]:
        """What the agent and the principal get; then the agent has gone left or right."""
        self.t += 1
        chance = self.game.accuracy if aim == "right" else 1 - self.game.accuracy
        right = plain_uniform(self.key, self.t, 0) < chance
        cost, value = self.between(0, self.game.max_cost), self.between(2, self.game.max_value)
        self.node = 2 * self.node + (1 if right else 0)
        return -cost if aim == "right" else 0.0, value if right else 0.0


@pytest.mark.parametrize(
    "rules",
    [{}, {"tree": 2**63 - 1}, {"horizon": 4, "accuracy": 0.75, "tree": 3, "max_cost": 3.0, "max_value": 0.5}],
)
def test_walks_are_the_twins(rules: dict[str, Any]) -> None:
    game: Any = make("tree/ivanov-d10", **rules)
    dice = np.random.default_rng(4)
    keys = dice.integers(2**64, size=40, dtype=np.uint64)
    state, twins = game.reset(keys), [Twin(game, key) for key in keys.tolist()]
    for _ in range(game.horizon):
        assert not game.terminated(state).any()
        actions = dice.integers(2, size=(40, 1))
        state, events = game.step(state, actions)
        earned = [twin.step(game.action_names[aim]) for twin, aim in zip(twins, actions[:, 0], strict=True)]
        np.testing.assert_allclose(game.rewards(events)[:, 0], [agent for agent, _ in earned], rtol=1e-6)
        np.testing.assert_allclose(game.principal_reward(events), [principal for _, principal in earned], rtol=1e-6)
        assert state.node.tolist() == [twin.node for twin in twins]
        assert game.facts(events)[:, 0].argmax(axis=1).tolist() == [twin.node % 2 for twin in twins]
        assert game.observe(state).ravel().tolist() == [min(twin.node, 2**game.horizon) for twin in twins]
    assert game.terminated(state).all()


# The table


def test_the_table_of_the_preset() -> None:
    game: Any = make("tree/ivanov-d10")
    table = tabulate(game)
    assert table.states == 1023
    assert table.start[0] == table.start.sum() == 1.0
    np.testing.assert_array_equal(game.index(game.representatives()), np.arange(1023))
    np.testing.assert_allclose(table.rewards[:, :, 0], np.stack([np.zeros(1023), -game.costs[1:]], 1), rtol=1e-6)
    np.testing.assert_allclose(table.objective, game.values[1:, None] * [0.1, 0.9], rtol=1e-6)
    np.testing.assert_allclose(table.facts[:, :, 0], np.broadcast_to([[0.9, 0.1], [0.1, 0.9]], (1023, 2, 2)))


def test_every_step_that_is_played_is_in_the_table() -> None:
    game = Tree(horizon=3, tree=4)
    table = tabulate(game)
    B = 4000
    state = game.reset(episode_keys(1, 0, np.arange(B), np.zeros(B, np.int64)))
    dice = np.random.default_rng(5)
    for t in range(3):
        actions = dice.integers(0, 2, (B, 1))
        following, _ = game.step(state, actions)
        for node in range(2**t, 2 ** (t + 1)):
            for aim in (LEFT, RIGHT):
                here = (state.node == node) & (actions[:, 0] == aim)
                d = table.following[node - 1, aim]
                listed = slice(table.offsets[d], table.offsets[d + 1])
                chances = dict(zip(table.successors[listed].tolist(), table.probabilities[listed], strict=True))
                went = (following.node[here] == 2 * node + 1).mean()
                assert went == pytest.approx(0.9 if aim else 0.1, abs=5 * 0.3 / np.sqrt(here.sum()))
                expected = {} if t == 2 else {2 * node - 1: 1 - (0.9 if aim else 0.1), 2 * node: 0.9 if aim else 0.1}
                assert chances == pytest.approx(expected)
        state = following


# What it looks like


def test_the_picture_is_the_level_and_how_far_right_it_went() -> None:
    state, events = play(SMALL, [3], [RIGHT], [0.9])
    assert text(SMALL.scene(state, events, 0)).splitlines() == [
        "@ @ . @ @",
        "@ . @ . @",
        ". @ r @ .",
        "step 2; node 6; aimed right, went left",
    ]


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        (np.array([[2]]), r"actions from 2 to 2 were played; 0 to 1 are allowed \(left, right\)"),
        (np.array([1]), r"integers of shape \(1, 1\) are needed"),
        (np.array([[0.0]]), "float64"),
    ],
)
def test_actions_that_are_none_are_told(actions: np.ndarray, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        SMALL.step(at(1), actions)


@pytest.mark.parametrize("rules", [{"accuracy": 0.5}, {"horizon": 17}, {"tree": -1}, {"max_cost": -1.0}])
def test_rules_out_of_range_are_told(rules: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(rules))):
        make("tree/ivanov-d10", **rules)
