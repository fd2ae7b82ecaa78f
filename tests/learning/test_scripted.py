"""Scripted agents: their strategies by hand and against plain twins, alone and beside agents that learn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.benchmarks.measures.audit import greedy
from paymaster.contracts.loop import AgentView, Minds, Simulation, own_view
from paymaster.envs import games
from paymaster.envs.game import Game, tells_cooperation
from paymaster.learning.agents.mixed import Mixed, MixedPolicy, Part
from paymaster.learning.agents.scripted import Scripted, ScriptedPolicy, Strategy
from paymaster.learning.phases import evaluate, train_agents

DILEMMA = make("matrix/iterated-prisoners-dilemma", horizon=10)  # -1, -3, 0, -2
COINS = make("coin_game/ivanov-3x3")
PRESETS = ("ivanov-3x3", "ivanov-7x7", "rllib-3x3", "lola-3x3", "mfos-3x3", "mate-2")


def beside(game: Game, *policies: Any) -> MixedPolicy:
    return MixedPolicy([Part(f"p{i}", {}, (i,), policy) for i, policy in enumerate(policies)])


def between(game: Game, one: Strategy, other: Strategy, episodes: int = 4) -> list[float]:
    policy = beside(game, ScriptedPolicy(game, one), ScriptedPolicy(game, other))
    mechanism = make_mechanism("selfish", game)
    return evaluate(game, mechanism, None, policy, seed=0, episodes=episodes).returns.mean(axis=0).tolist()


class AtRandom:
    """Acts by the episode's own draws."""

    def __init__(self, game: Game) -> None:
        self.actions = len(game.action_names)

    def __call__(self, seen: AgentView) -> np.ndarray:
        assert seen.noise is not None
        return (seen.noise * self.actions).astype(np.int64)


@pytest.mark.parametrize(
    ("one", "other", "returns"),
    [
        ("cooperate", "cooperate", [-10, -10]), ("cooperate", "defect", [-30, 0]), ("defect", "defect", [-20, -20]),
        ("tit-for-tat", "tit-for-tat", [-10, -10]), ("tit-for-tat", "grim", [-10, -10]),
        ("tit-for-tat", "defect", [-3 - 9 * 2, -9 * 2]), ("grim", "defect", [-3 - 9 * 2, -9 * 2]),
    ],
)  # fmt: skip
def test_the_strategies_earn_what_they_do_by_hand(one: Strategy, other: Strategy, returns: list[float]) -> None:
    assert between(DILEMMA, one, other) == returns


def played(game: Game, strategy: Strategy, steps: int, B: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Agent 0 plays by the strategy, agent 1 at random: actions (T, B, N), defections (T, B, N, N), episodes (T, B)."""
    policy = beside(game, ScriptedPolicy(game, strategy), AtRandom(game))
    loop = Simulation(game, make_mechanism("selfish", game), B, seed=1, minds=Minds.of(policy))
    actions, defections, episodes = [], [], []
    for _ in range(steps):
        actions.append(policy(loop.seen))
        episodes.append(loop.episode.copy())
        events = loop.step(actions[-1]).transition.events
        defections.append(game.defections(events))  # type: ignore[attr-defined]
    return np.array(actions), np.array(defections), np.array(episodes)


def test_tit_for_tat_does_what_the_other_did_last_and_forgets_it_with_the_episode() -> None:
    actions, _, episodes = played(DILEMMA, "tit-for-tat", 35)
    for (before, now), (earlier, later) in zip(pairwise(actions), pairwise(episodes), strict=True):
        np.testing.assert_array_equal(now[:, 0], np.where(earlier == later, before[:, 1], 0))


def test_grim_defects_from_the_first_defection_to_the_end_of_the_episode() -> None:
    actions, _, episodes = played(DILEMMA, "grim", 20)
    for episode in (0, 1):
        mine, others = (actions[:, :, i][episodes == episode].reshape(10, -1) for i in (0, 1))
        np.testing.assert_array_equal(mine[1:], np.maximum.accumulate(others, axis=0)[:-1])


@pytest.mark.parametrize("preset", PRESETS)
def test_in_the_coin_game_a_cooperator_picks_none_of_the_others_coins(preset: str) -> None:
    game = make(f"coin_game/{preset}")
    _, defections, _ = played(game, "cooperate", 40, B=32)
    assert not defections[:, :, 0].any()  # of a coin on whose cell none of its own lies
    assert defections[:, :, 1].any()


def test_in_the_coin_game_tit_for_tat_answers_each_coin_with_one() -> None:
    game = make("coin_game/ivanov-3x3", horizon=200)
    _, defections, _ = played(game, "tit-for-tat", 200, B=16)
    mine, others = defections[:, :, 0, 1], defections[:, :, 1, 0]
    owed = np.zeros(16, int)  # the plain twin of its memory
    for t in range(200):
        assert not mine[t][owed == 0].any()
        owed = np.maximum(owed + others[t] - mine[t], 0)
    assert mine.sum() > 20
    assert (mine.sum(axis=0) <= others.sum(axis=0)).all()
    assert not hasattr(ScriptedPolicy(game, "cooperate"), "remember")


@pytest.mark.parametrize("preset", PRESETS)
def test_scripted_agents_go_to_the_nearest_coin_by_a_plain_search(preset: str) -> None:
    """Each action's way to a coin by breadth-first search over the game's own moves, in 200 random states."""
    game: Any = make(f"coin_game/{preset}")
    state = game.reset(np.arange(200, dtype=np.uint64))
    for cooperating in (True, False):
        chosen = game.scripted(game.observe(state), np.full((200, 2), cooperating))
        for b in range(0, 200, 5):
            for i in range(2):
                coins = [tuple(c) for c, o in zip(state.coins[b], state.owners[b], strict=True) if o == i]
                others = [tuple(c) for c, o in zip(state.coins[b], state.owners[b], strict=True) if o != i]
                targets = coins if cooperating else coins + others
                lengths = [
                    np.inf if cooperating and cell in set(others) - set(coins) else search(game, cell, targets)
                    for cell in (move(game, tuple(state.agents[b, i]), a) for a in range(len(game.action_names)))
                ]
                assert lengths[chosen[b, i]] == min(lengths)


def move(game: Any, cell: tuple[int, int], action: int) -> tuple[int, int]:
    rows, columns = (0, 0, 1, -1, 0)[action], (1, -1, 0, 0, 0)[action]
    G, (row, column) = game.grid_size, (cell[0] + rows, cell[1] + columns)
    if game.edges == "torus":
        return int(row % G), int(column % G)
    return int(min(max(row, 0), G - 1)), int(min(max(column, 0), G - 1))


def search(game: Any, cell: tuple[int, int], targets: list[tuple[int, int]]) -> float:
    """The steps from a cell to the nearest target; far beyond the board where there is none."""
    reached, steps = {cell}, 0
    while targets and not reached & set(targets):
        reached |= {move(game, each, action) for each in reached for action in range(4)}
        steps += 1
    return steps if targets else 100


def test_cooperation_is_worth_more_to_all_than_defection_is() -> None:
    cooperating, defecting = between(COINS, "cooperate", "cooperate", 64), between(COINS, "defect", "defect", 64)
    assert min(cooperating) > max(defecting)
    robbed, robbing = between(COINS, "cooperate", "defect", 64)
    assert robbing > max(cooperating)
    assert robbed < min(defecting)
    avenged, _ = between(COINS, "tit-for-tat", "defect", 64)
    assert avenged > robbed


def test_what_is_kept_plays_the_same(tmp_path: Path) -> None:
    policy = ScriptedPolicy(COINS, "tit-for-tat")
    policy.save(tmp_path / "policy")
    again = ScriptedPolicy.load(tmp_path / "policy")
    assert (again.game, again.strategy) == (COINS, "tit-for-tat")
    assert again.remember is not None


def test_games_that_do_not_say_what_cooperation_is_are_refused() -> None:
    told = {id.partition("/")[0] for id in games() if tells_cooperation(make(id))}
    assert told == {"matrix", "public_goods", "coin_game"}
    with pytest.raises(UsageError, match="what cooperating and defecting are"):
        Scripted().check(make_mechanism("selfish", make("escape_room/2-1")))


def test_an_audit_does_not_judge_agents_that_remember() -> None:
    mechanism = make_mechanism("selfish", DILEMMA)
    assert greedy(DILEMMA, mechanism, None, ScriptedPolicy(DILEMMA, "defect")).all()
    with pytest.raises(UsageError, match="remember"):
        greedy(DILEMMA, mechanism, None, ScriptedPolicy(DILEMMA, "grim"))


def test_a_mixture_shows_each_policy_its_own_memory() -> None:
    minds = Minds.remembering([AtRandom(COINS), ScriptedPolicy(COINS, "grim")])
    assert minds.start is not None
    memory = minds.start(np.zeros(3, np.uint64))
    seen = AgentView(np.zeros((3, 2, 4, 3, 3), np.uint8), np.zeros((3, 2, 0), np.float32), memory=memory)
    assert own_view(seen, 0).memory == ()
    assert own_view(seen, 1).memory.shape == (3, 2, 2)
    assert Minds.remembering([AtRandom(COINS), ScriptedPolicy(COINS, "defect")]) == Minds()


@pytest.mark.parametrize(("strategy", "cooperates"), [("tit-for-tat", True), ("defect", False)])
def test_who_learns_beside_tit_for_tat_learns_to_cooperate(strategy: Strategy, cooperates: bool) -> None:
    """In a dilemma that is cut and goes on, against -2 a step for both by defecting."""
    game = make("matrix/iterated-prisoners-dilemma", horizon=20, truncates=True)
    dqn = {"hidden": (16,), "lr": 1e-2, "discount": 0.9}
    settings = Mixed(
        agents=("dqn", "scripted"), settings={"dqn": dqn, "scripted": {"strategy": strategy}}, discount=0.9
    )
    mechanism = make_mechanism("selfish", game)
    with train_agents(game, mechanism, None, settings, seed=100, steps=20000) as phase:
        policy = phase.result()
    earned = evaluate(game, mechanism, None, policy, seed=100, episodes=4).returns[:, 0]
    np.testing.assert_array_equal(earned, -20.0 if cooperates else -40.0)


def test_a_run_of_scripted_agents_is_made_and_loaded(tmp_path: Path) -> None:
    finished = run(
        "coin_game/ivanov-3x3", algorithm="scripted", strategy="grim", seed=1, steps=1, episodes=16, out=tmp_path
    )
    again = load(finished.folder)
    played = evaluate(again.game, again.mechanism, None, again.policy, seed=1, episodes=16)
    assert played.returns.sum(axis=1).mean() == pytest.approx(finished.welfare)
