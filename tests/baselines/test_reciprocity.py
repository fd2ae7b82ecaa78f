"""Reciprocity by hand: who answers whom, and what is remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, make, make_mechanism
from paymaster.contracts.loop import Simulation

COOPERATE, DEFECT = 0, 1


def shaped(actions: list[list[int]], game: Any = None, **parameters: Any) -> np.ndarray:
    """(T, N): the shaping of each step in which agents act so."""
    game = game or make("matrix/iterated-prisoners-dilemma")
    loop = Simulation(game, make_mechanism("reciprocity", game, **parameters), 1, seed=0)
    return np.concatenate([loop.step(np.array([each])).ledger.shaping for each in actions])


def test_an_imitator_is_to_be_as_nice_as_the_innovator() -> None:
    """Niceness of the innovator 1, then .5 * 1 + 1 = 1.5; of the imitator 0, then 1. Lost: .5 * 1^2 and .5 * .5^2."""
    found = shaped([[COOPERATE, DEFECT], [COOPERATE, COOPERATE]], weight=0.5, kept=0.5)
    np.testing.assert_allclose(found, [[0.0, -0.5], [0.0, -0.125]])


def test_without_innovators_all_answer_the_mean_of_the_others() -> None:
    three = make("public_goods/one-shot-4", players=3)
    found = shaped([[COOPERATE, COOPERATE, DEFECT]], three, weight=1.0, innovators=0)
    np.testing.assert_allclose(found, [[-0.25, -0.25, -1.0]])  # the others of the first: 1 and 0


def test_facts_count_by_how_nice_they_are() -> None:
    """In the Coin Game leaving the other's coin may be nice, and picking one's own no matter."""
    game = make("escape_room/2-1")
    found = shaped([[0, 2]], game, weight=1.0, nice={"pulled": 2.0, "escaped": -1.0})
    np.testing.assert_allclose(found, [[0.0, -9.0]])  # 2 for the lever, -1 for the door


@pytest.mark.parametrize(
    ("game", "parameters", "told"),
    [
        ("tree/ivanov-d10", {}, "what others can be seen to do"),
        ("matrix/chicken", {"innovators": 2}, "leave nobody to imitate them; give at most 1"),
        ("matrix/chicken", {"nice": {"coperated": 1.0}}, "Did you mean 'cooperated'"),
    ],
)
def test_what_is_refused(game: str, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_mechanism("reciprocity", make(game), **parameters)
