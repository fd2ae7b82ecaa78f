"""Matrix games: their tables by hand and by a plain twin, Willis et al.'s numbers, exact equilibria, what is seen."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from paymaster import UsageError, make_mechanism
from paymaster.contracts.loop import Simulation
from paymaster.envs import make
from paymaster.envs.matrix_games import PAIRWISE, MatrixGame, Network, PublicGoods, StageGame
from paymaster.equilibria.solve import summary
from paymaster.equilibria.tables.table import joint_actions
from paymaster.render.page import text

C, D = 0, 1
PD, CHICKEN, STAG_HUNT = PAIRWISE.values()


def game_of(id: str, **rules: Any) -> StageGame:
    game = make(id, **rules)
    assert isinstance(game, StageGame)
    return game


# The tables, by hand


@pytest.mark.parametrize(
    ("preset", "table"),
    [
        ("prisoners-dilemma", [[(3, 3), (0, 4)], [(4, 0), (1, 1)]]),
        ("chicken", [[(3, 3), (1, 4)], [(4, 1), (0, 0)]]),
        ("stag-hunt", [[(4, 4), (0, 3)], [(3, 0), (1, 1)]]),
        ("iterated-prisoners-dilemma", [[(-1, -1), (-3, 0)], [(0, -3), (-2, -2)]]),
        ("asymmetric-prisoners-dilemma", [[(6, 3), (0, 4)], [(8, 0), (2, 1)]]),
    ],
)
def test_games_of_two(preset: str, table: Any) -> None:
    payoffs = game_of(f"matrix/{preset}").payoffs
    assert payoffs.dtype == np.float64
    np.testing.assert_array_equal(payoffs, table)


@pytest.mark.parametrize(
    ("network", "payoffs"),
    [
        ("symmetrical", [(3 + 0 + 0) / 3, (3 + 0 + 0) / 3, (4 + 4 + 1) / 3, (4 + 4 + 1) / 3]),
        ("cyclical", [3, 0, 1, 4]),
        ("tycoon", [3 + 0 + 0, 3, 4, 4]),
        ("circular", [3 / 2 + 0 + 0, 3 / 2 + 0 + 0, 4 / 4 + 4 / 2 + 1 / 2, 4 / 2 + 4 / 4 + 1 / 2]),
    ],
)
def test_prisoners_dilemmas_of_four(network: str, payoffs: list[float]) -> None:
    """Agents 0 and 1 cooperate, 2 and 3 defect; around the circle 0 and 2 are two apart, and so are 1 and 3."""
    np.testing.assert_allclose(game_of(f"matrix/{network}-prisoners-dilemma").payoffs[C, C, D, D], payoffs)


def test_public_goods() -> None:
    """Three of four give 1, and 3 times 1.6 is shared by four."""
    payoffs = PublicGoods().payoffs
    np.testing.assert_allclose(payoffs[C, C, C, D], [1.2, 1.2, 1.2, 2.2])
    np.testing.assert_allclose(payoffs[C, C, C, C], [1.6] * 4)
    np.testing.assert_allclose(payoffs[D, D, D, D], [1.0] * 4)
    np.testing.assert_allclose(PublicGoods(endowment=20.0).payoffs, 20 * payoffs)


# The plain twin


class Twin:
    """One episode, with numbers, letters and lists only."""

    def __init__(self, game: StageGame) -> None:
        self.game, self.last = game, ["-"] * game.players

    def met(self, i: int, j: int) -> float:
        """How much of its game against j agent i earns."""
        assert isinstance(self.game, MatrixGame)
        n = self.game.players
        around = abs(i - j)
        weight = {
            "symmetrical": 1 / (n - 1),
            "cyclical": 1.0 if j == (i + 1 if i + 1 < n else 0) else 0.0,
            "tycoon": 1.0 if 0 in (i, j) else 0.0,
            "circular": 1 / 2 ** min(around, n - around),
        }[self.game.network]
        return weight * self.game.stakes[i] if self.game.stakes else weight

    def step(self, actions: list[str]) -> list[float]:
        self.last, everyone = actions, range(self.game.players)
        if isinstance(self.game, PublicGoods):
            share = self.game.multiplier * self.game.endowment * actions.count("C") / len(actions)
            return [share + (self.game.endowment if action == "D" else 0.0) for action in actions]
        assert isinstance(self.game, MatrixGame)
        pays = dict(zip(("CC", "CD", "DC", "DD"), self.game.pairwise, strict=True))
        return [sum(self.met(i, j) * pays[actions[i] + actions[j]] for j in everyone if j != i) for i in everyone]

    def see(self, i: int) -> list[int]:
        in_turn = self.last[i:] + self.last[:i]
        who = [int(j == i) for j in range(len(self.last))]
        return [int("-" in in_turn), *(int(action == shown) for action in in_turn for shown in "CD"), *who]


payoff = st.integers(-5, 5).map(float)


@st.composite
def any_game(draw: st.DrawFn) -> StageGame:
    players = draw(st.integers(2, 6))
    if draw(st.booleans()):
        return PublicGoods(players=players, multiplier=draw(st.floats(0.1, 10)), endowment=draw(st.floats(0.1, 20)))
    stakes = draw(st.just(()) | st.tuples(*[st.floats(0.1, 10)] * players))
    pairwise = draw(st.tuples(payoff, payoff, payoff, payoff))
    return MatrixGame(
        players=players, network=draw(st.sampled_from(get_args(Network))), pairwise=pairwise, stakes=stakes
    )


@settings(max_examples=100, deadline=None)
@given(any_game(), st.integers(0, 1000))
def test_games_agree_with_their_twin(game: StageGame, seed: int) -> None:
    B, N = 3, game.players
    twins = [Twin(game) for _ in range(B)]
    state = game.reset(np.arange(B, dtype=np.uint64))
    for t in range(4):
        seen = game.observe(state)
        assert seen.tolist() == [[twin.see(i) for i in range(N)] for twin in twins]
        assert game.world(state).tolist() == [twin.see(0)[:-N] for twin in twins]
        assert all(game.observation_space.contains(each) for each in seen.reshape(B * N, -1))
        actions = np.random.default_rng([seed, t]).integers(2, size=(B, N))
        state, events = game.step(state, actions)
        earned = [twin.step(["CD"[action] for action in row]) for twin, row in zip(twins, actions, strict=True)]
        np.testing.assert_allclose(game.rewards(events), earned, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose([game.payoffs[tuple(row)] for row in actions], earned, atol=1e-9)
        np.testing.assert_allclose(game.principal_reward(events), np.sum(earned, axis=1), rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(game.facts(events)[..., 0], actions == C)
        assert not game.terminated(state).any()


# Willis et al. 2023: how much of its reward each may keep so that cooperating is weakly dominant


def gains(payoffs: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """For each agent, and all that the others may do: what everyone gains (N,) if the agent cooperates."""
    N = payoffs.shape[-1]
    found = []
    for i, others in product(range(N), product((C, D), repeat=N - 1)):
        cooperating, defecting = (payoffs[(*others[:i], action, *others[i:])] for action in (C, D))
        found.append((i, cooperating - defecting))
    return found


def symmetrical_level(payoffs: np.ndarray) -> float:
    """s*: the largest s in [0, 1] at which `s r_i + (1 - s) / (N - 1) sum_j!=i r_j` makes cooperating dominant."""
    lowest, highest = 0.0, 1.0
    for i, gain in gains(payoffs):
        others = np.delete(gain, i).mean()
        slope = gain[i] - others  # others + s slope >= 0
        if slope < 0:
            highest = min(highest, -others / slope)
        elif slope > 0:
            lowest = max(lowest, -others / slope)
    assert lowest <= highest
    return highest


def least_transfers(payoffs: np.ndarray) -> tuple[float, np.ndarray]:
    """g* and T*: the transfers r' = r T, rows summing to one, whose smallest diagonal entry is largest."""
    N = payoffs.shape[-1]
    dominant = [-np.outer(gain, np.eye(N)[i]) for i, gain in gains(payoffs)]
    kept = [-np.outer(np.eye(N)[i], np.eye(N)[i]) for i in range(N)]
    upper = np.array([[*each.ravel(), 0.0] for each in dominant] + [[*each.ravel(), 1.0] for each in kept])
    rows = np.array([[*np.outer(np.eye(N)[i], np.ones(N)).ravel(), 0.0] for i in range(N)])
    found = linprog([0.0] * N * N + [-1.0], upper, np.zeros(len(upper)), rows, np.ones(N), bounds=(0, 1))
    assert found.success
    assert found.x is not None
    return float(found.x[-1]), found.x[:-1].reshape(N, N)


def willis(network: Network, pairwise: Any, n: int) -> np.ndarray:
    return MatrixGame(network=network, pairwise=pairwise, players=n).payoffs


@pytest.mark.parametrize(("n", "level"), [(2, 2 / 3), (3, 1 / 2), (4, 2 / 5), (5, 1 / 3)])
def test_symmetrical_chicken_and_stag_hunt(n: int, level: float) -> None:
    for pairwise in (CHICKEN, STAG_HUNT):
        assert symmetrical_level(willis("symmetrical", pairwise, n)) == pytest.approx(level)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_symmetrical_prisoners_dilemma(n: int) -> None:
    """With c = 3 and d = 1: s* = c / (c + d (n - 1))."""
    assert symmetrical_level(willis("symmetrical", PD, n)) == pytest.approx(3 / (3 + (n - 1)))


@pytest.mark.parametrize(("pairwise", "general"), [(PD, 0.75), (CHICKEN, 2 / 3), (STAG_HUNT, 2 / 3)])
def test_cyclical_games_cost_the_same_however_many_play(pairwise: Any, general: float) -> None:
    for n in (2, 3, 4, 5):
        assert least_transfers(willis("cyclical", pairwise, n))[0] == pytest.approx(general)
    if pairwise is PD:
        assert symmetrical_level(willis("cyclical", PD, 3)) == pytest.approx(0.6)


@pytest.mark.parametrize(("n", "general"), [(4, 6 / 11), (5, 0.5)])
def test_circular_prisoners_dilemma(n: int, general: float) -> None:
    assert least_transfers(willis("circular", PD, n))[0] == pytest.approx(general)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_tycoon_prisoners_dilemma(n: int) -> None:
    """By hand. Each of the n - 1 others costs itself 1 and gives the tycoon 3 by cooperating, so it must be given
    a third of what it keeps from the tycoon, who can give each but (1 - g) / (n - 1): g* = 3 / (3 + n - 1)."""
    payoffs = willis("tycoon", PD, n)
    assert symmetrical_level(payoffs) == pytest.approx(3 / (3 + n - 1))
    assert least_transfers(payoffs)[0] == pytest.approx(3 / (3 + n - 1))


def test_asymmetric_prisoners_dilemma() -> None:
    payoffs = game_of("matrix/asymmetric-prisoners-dilemma").payoffs
    assert symmetrical_level(payoffs) == pytest.approx(0.6)
    np.testing.assert_allclose(least_transfers(payoffs)[1], [[0.6, 0.4], [0.4, 0.6]])


@pytest.mark.parametrize(("n", "k"), [(2, 1.5), (4, 1.6), (5, 3.0)])
def test_public_goods_level(n: int, k: float) -> None:
    assert symmetrical_level(PublicGoods(players=n, multiplier=k).payoffs) == pytest.approx(k / n)


def test_iterated_prisoners_dilemma_level() -> None:
    assert symmetrical_level(game_of("matrix/iterated-prisoners-dilemma").payoffs) == pytest.approx(2 / 3)


# Exact equilibria


@pytest.mark.parametrize(
    ("id", "optimum", "highest", "lowest", "paid", "dominant"),
    [
        ("matrix/prisoners-dilemma", 6, 2, 2, 2, 2),  # defecting earns each 1 more, whatever the other does
        ("matrix/chicken", 6, 5, 5, 2, 2),  # 4 and 1 where one yields; 1 more against one who cooperates
        ("matrix/stag-hunt", 8, 8, 2, 0, 2),  # nobody leaves the stag; 1 each to hunt it even alone
        ("matrix/cyclical-stag-hunt", 16, 16, 4, 0, 4),  # the same in a circle of four
        ("matrix/asymmetric-prisoners-dilemma", 9, 3, 3, 3, 3),  # 2 and 1 more
        ("matrix/cyclical-prisoners-dilemma", 12, 4, 4, 4, 4),
        ("matrix/tycoon-prisoners-dilemma", 18, 6, 6, 6, 6),  # 3 more for the tycoon, 1 for each other
        ("matrix/iterated-prisoners-dilemma", -300, -600, -600, 300, 300),  # 1 each, 150 times
        ("public_goods/one-shot-4", 6.4, 4, 4, 2.4, 2.4),  # a gift of 1 returns 0.4 to the giver
        ("public_goods/iterated-4", 64, 40, 40, 24, 24),
    ],
)
def test_exact_values(id: str, optimum: float, highest: float, lowest: float, paid: float, dominant: float) -> None:
    """A principal always buys the optimum: a unit of welfare is worth ten of payment to it."""
    found = summary(make(id))
    assert found["cooperative"]["welfare"] == pytest.approx(optimum)
    assert found["selfish"]["highest"]["welfare"] == pytest.approx(highest)
    assert found["selfish"]["lowest"]["welfare"] == pytest.approx(lowest)
    assert [found["principal"][what] for what in ("welfare", "payment")] == pytest.approx([optimum, paid])
    assert [found["principal_dominant"][what] for what in ("welfare", "payment")] == pytest.approx([optimum, dominant])
    # contingent on what the others did: dominant too, at the price of the path
    assert [found["principal_contingent"][what] for what in ("welfare", "payment")] == pytest.approx([optimum, paid])
    assert found["selfish"]["highest"]["gain"] == pytest.approx(0)


def test_a_discounted_iterated_dilemma_at_lolas_discount() -> None:
    found = summary(make("matrix/iterated-prisoners-dilemma"), discount=0.96)
    assert found["states"] == 5
    assert found["cooperative"]["welfare"] == pytest.approx(-300)
    assert found["selfish"]["highest"]["welfare"] == pytest.approx(-600)
    assert [found["principal"][what] for what in ("welfare", "payment")] == pytest.approx([-300, 300])


@pytest.mark.parametrize("players", [2, 3, 5])
def test_states_are_the_start_and_the_last_joint_actions(players: int) -> None:
    game = MatrixGame(players=players, horizon=2)
    every = game.representatives()
    np.testing.assert_array_equal(game.index(every), np.arange(game.states))
    assert game.index(game.reset(np.zeros(1, np.uint64))) == [0]
    joint = joint_actions(2, players)
    after, _ = game.step(game.reset(np.zeros(len(joint), np.uint64)), joint)
    np.testing.assert_array_equal(game.index(after), 1 + np.arange(len(joint)))
    np.testing.assert_array_equal(every.played[1:], joint)


def test_a_game_of_one_shot_has_one_state_so_many_can_play_it() -> None:
    """Ten agents give 1 of which 0.5 comes back to each."""
    found = summary(PublicGoods(players=10, multiplier=5.0))
    assert found["states"] == 1
    assert [found["principal"][what] for what in ("welfare", "payment")] == pytest.approx([50, 5])
    assert found["selfish"]["highest"]["welfare"] == pytest.approx(10)


# The end, the picture, what is refused


@pytest.mark.parametrize(
    ("rules", "length", "ends"), [({}, 1, True), ({"horizon": 3}, 3, True), ({"truncates": True}, 1, False)]
)
def test_the_horizon_ends_the_game_unless_it_truncates(rules: dict[str, Any], length: int, ends: bool) -> None:
    game = make("matrix/prisoners-dilemma", **rules)
    playing = Simulation(game, make_mechanism("selfish", game), 2, seed=0)
    for t in range(1, length + 1):
        step = playing.step(np.array([[C, D], [D, D]]))
        assert step.ended.all() == (t == length)
    assert step.transition.terminated.tolist() == [ends] * 2
    assert step.transition.truncated.tolist() == [not ends] * 2
    assert step.episodes is not None
    np.testing.assert_array_equal(step.episodes.returns, length * np.array([[0, 4], [1, 1]]))
    assert playing.seen.observations[0].tolist() == [[1, 0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0, 1]], "a new game starts"


def test_the_picture() -> None:
    game = MatrixGame()
    state = game.reset(np.arange(2, dtype=np.uint64))
    board = ["           cooperate  defect", "cooperate  3, 3       0, 4", "defect     4, 0       1, 1"]
    assert text(game.scene(state, None, 1)).splitlines() == [*board, "step 0"]
    state, events = game.step(state, np.array([[C, C], [D, C]]))
    board[2] = "defect     4, 0 *     1, 1"
    told = "step 1; agent_0 defects: 4; agent_1 cooperates: 0"
    assert text(game.scene(state, events, 1)).splitlines() == [*board, told]


def test_the_picture_of_more_than_two() -> None:
    game = PublicGoods(players=3)
    state = game.reset(np.zeros(1, np.uint64))
    assert text(game.scene(state, None, 0)) == "C r D\nC b D\nC g D\nstep 0"
    scene = game.scene(*game.step(state, np.array([[C, D, C]])), 0)
    assert scene.choices == ("cooperate", "", "defect")
    assert text(scene).splitlines()[:3] == ["r . D", "C . b", "g . D"]


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        (np.array([[0, 2]]), r"actions from 0 to 2 were played; 0 to 1 are allowed \(cooperate, defect\)"),
        (np.array([[-1, 0]]), "actions from -1 to 0"),
        (np.array([[0.0, 1.0]]), r"float64 of shape \(1, 2\); integers of shape \(1, 2\) are needed"),
        (np.array([0, 1]), r"int64 of shape \(2,\); integers of shape \(1, 2\)"),
    ],
)
def test_actions_that_are_not_allowed(actions: np.ndarray, told: str) -> None:
    game = MatrixGame()
    with pytest.raises(UsageError, match=told):
        game.step(game.reset(np.zeros(1, np.uint64)), actions)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"stakes": (1.0,)}, "1 stakes were given for 2 players; give one number for each, or none"),
        ({"stakes": (1.0, 0.0)}, r"stakes.1: input should be greater than 0 \(got 0.0\)"),
        ({"pairwise": (1.0, 2.0, 3.0)}, "pairwise"),
        ({"network": "star"}, "'symmetrical', 'cyclical', 'tycoon' or 'circular'"),
        ({"players": 17}, r"players.*got 17"),
    ],
)
def test_rules_that_are_not_allowed(rules: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make("matrix/prisoners-dilemma", **rules)
