"""Social value orientation: angles by hand, and the mistakes that others made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster import make_mechanism
from paymaster.contracts.mechanism import Transition

from ..envs.plain_game import PlainGame

DEGREE = np.pi / 180


def shaping(rewards: list[float], **parameters: Any) -> np.ndarray:
    each = np.array([rewards], np.float32)
    mechanism = make_mechanism("social-value-orientation", PlainGame(N=len(rewards)), **parameters)
    none = np.zeros(1, bool)
    step = Transition((), (), np.zeros(each.shape, np.int64), (), each, (), none, none)
    settled, _ = mechanism.settle((), step)
    assert not settled.transfers.any()
    assert not settled.payments.any()
    return settled.shaping[0] / DEGREE


@pytest.mark.parametrize(
    ("rewards", "ideal", "apart"),
    [
        ([1.0, 1.0], 45.0, [0, 0]),  # shared evenly
        ([1.0, 0.0], 45.0, [45, 45]),  # one has it all: at 0 degrees it, at 90 the other
        ([1.0, 0.0], 0.0, [0, 90]),
        ([1.0, 0.0], 90.0, [90, 0]),
        ([2.0, -2.0], 45.0, [90, 90]),  # one wins at the other's cost: -45 and 135 degrees
        ([-1.0, -1.0], 45.0, [180, 180]),  # both lose: -135 degrees
        ([0.0, 0.0], 45.0, [0, 0]),  # nobody earns: there is no angle
    ],
)
def test_two_agents_by_hand(rewards: list[float], ideal: float, apart: list[float]) -> None:
    np.testing.assert_allclose(shaping(rewards, ideal=ideal, weight=1.0), -np.array(apart), atol=1e-4)


def test_the_others_count_with_their_mean_and_the_penalty_once() -> None:
    """Of four, one earns 3: its angle is 0, that of the others 90. One public code multiplies by N."""
    np.testing.assert_allclose(shaping([3.0, 0, 0, 0], ideal=0.0, weight=0.5), [0, -45, -45, -45], atol=1e-4)
    # and where all earn: the mean of the others is 2, 1 and 1 for agents that earn 0, 2 and 2
    angles = [90, np.degrees(np.arctan2(1, 2)), np.degrees(np.arctan2(1, 2))]
    np.testing.assert_allclose(shaping([0.0, 2.0, 2.0], ideal=90.0, weight=1.0), np.array(angles) - 90, atol=1e-4)


def test_angles_lie_on_a_circle() -> None:
    """A loss beside which the others lose or win a trifle: -179 and 179 degrees are as far from 90, but for 2."""
    trifle = float(np.tan(DEGREE))
    for others, apart in ((trifle, 89), (-trifle, 91)):
        np.testing.assert_allclose(shaping([-1.0, others], ideal=90.0, weight=1.0)[0], -apart, atol=1e-3)


def test_without_weight_it_is_selfish() -> None:
    assert not shaping([1.0, 0.0], weight=0.0).any()
