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
    shown = list(frames(GAME, replay))
    assert "advised" in shown[0].panel.head


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
