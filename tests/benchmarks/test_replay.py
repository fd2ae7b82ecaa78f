"""A replay keeps what agents were told, whatever the mechanism's terms are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster import make, make_mechanism, parallel_env
from paymaster.benchmarks.reports.rates import FOLLOWING, names
from paymaster.benchmarks.runs.replay import frames, play
from paymaster.contracts.loop import AgentView
from paymaster.contracts.mechanism import Decisions
from paymaster.core.config import UsageError
from paymaster.envs.game import Game

GAME = make("coin_game/ivanov-3x3", horizon=4)
UP, DOWN = GAME.action_names.index("up"), GAME.action_names.index("down")


def upwards(game: Game, state: Any) -> Decisions:
    """A principal that would have all go up, for 0.5."""
    shape = (len(state.key), len(game.agents))
    return Decisions(np.full(shape, UP), np.full(shape, 0.5, np.float32))


def first_strays(seen: AgentView) -> np.ndarray:
    return np.tile([DOWN, UP], (len(seen.observations), 1))


@pytest.mark.parametrize("probation", [0, 2])
def test_recommendations_are_kept_and_pay_is_what_following_brings(probation: int) -> None:
    mechanism = make_mechanism("principal-dqn", GAME, probation=probation)
    replay = play(GAME, mechanism, upwards, first_strays, seed=0, stream=2)
    assert (replay.recommended == UP).all()
    assert replay.promised[0].tolist() == [0.5, 0.5]
    assert replay.promised[1].tolist() == [0.0 if probation else 0.5, 0.5]
    assert replay.terms[1].tolist() == ["probation 2" if probation else "", ""]
    assert replay.payments[:, 1].tolist() == [0.5] * 4
    shown = [frame.panel for frame in frames(GAME, replay)]
    advised, did, coming = (shown[0].head.index(name) for name in ("advised", "did", "advised next"))
    told = [[(row[advised], row[did], row[coming]) for row in panel.rows] for panel in shown]
    assert told[0] == [("", "", "up")] * 2
    assert told[1] == [("up", "down", "up"), ("up", "up", "up")]
    assert told[-1] == [("up", "down", ""), ("up", "up", "")]


def test_what_was_advised_stands_beside_what_was_done() -> None:
    """A principal that has everyone go on by turns, and agents that obey: no row may read as disobedience."""

    def by_turns(game: Game, state: Any) -> Decisions:
        advice = np.where(state.t[:, None] % 2, UP, DOWN)
        return Decisions(np.repeat(advice, len(game.agents), axis=1), np.zeros((len(advice), 2), np.float32))

    def obeys(seen: AgentView) -> np.ndarray:
        return seen.terms.argmax(axis=-1)

    replay = play(GAME, make_mechanism("principal-dqn", GAME), by_turns, obeys, seed=0, stream=2)
    shown = [frame.panel for frame in frames(GAME, replay)]
    advised, did, coming = (shown[0].head.index(name) for name in ("advised", "did", "advised next"))
    for panel in shown:
        for row in panel.rows:
            assert row[advised] == row[did] != row[coming]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("actions", lambda found: found + 99),
        ("actions", lambda found: found - 99),
        ("actions", lambda found: found.astype(float)),
        ("actions", lambda found: found[:0]),
        ("actions", lambda found: np.repeat(found, 2, axis=0)),
        ("actions", lambda found: found[:, :1]),
        ("recommended", lambda found: found + 99),
        ("rewards", lambda found: found[:-1]),
        ("promised", lambda found: found[..., None].repeat(7, axis=-1)),
        ("terms", lambda found: found.ravel()),
        ("key", lambda found: found.astype(float)),
    ],
)
def test_a_replay_that_is_none_of_the_game_is_refused(name: str, spoil: Any) -> None:
    """Compiled rules would read and write beyond their arrays."""
    replay = play(GAME, make_mechanism("principal-dqn", GAME), upwards, first_strays, seed=0, stream=2)
    assert len(list(frames(GAME, replay))) == 5
    with pytest.raises(UsageError, match="no episode of the game"):
        next(frames(GAME, replay._replace(**{name: spoil(getattr(replay, name))})))


def test_a_view_and_show_tell_the_recommendations_of_a_probation_too() -> None:
    mechanism = make_mechanism("principal-dqn", GAME, probation=2)
    view = parallel_env(GAME, mechanism, upwards, render_mode="ansi")
    view.reset(seed=0)
    view.step({"red": DOWN, "blue": UP})
    assert view.render().count("up") >= 2
    summary = mechanism.summary(
        mechanism.offer(mechanism.start(np.zeros(1, np.uint64)), _state(), upwards(GAME, _state()))[0], 1
    )
    assert names(GAME, summary) == (FOLLOWING,)


def _state() -> Any:
    return GAME.reset(np.zeros(1, np.uint64))
