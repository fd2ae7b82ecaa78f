"""What a frozen principal decided once is found again by what the agents see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paymaster import make
from paymaster.contracts.mechanism import Decisions
from paymaster.core.arrays import take
from paymaster.learning.principals import remembered
from paymaster.learning.principals.algorithm_3 import Algorithm3
from paymaster.learning.principals.recommending import TrainedPrincipal
from paymaster.learning.principals.remembered import Remembered

SEEN = np.arange(24, dtype=np.float32).reshape(6, 2, 2)


class Asked:
    """Decides by the observations alone, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def __call__(self, observations: np.ndarray) -> Decisions:
        self.asked.append(observations)
        return Decisions(observations[..., 0].astype(np.int64), observations.sum(axis=2))


def check(decided: Decisions, observations: np.ndarray) -> None:
    wanted = Asked()(observations)
    for one, other in zip(decided, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_it_asks_once_about_what_is_seen_again() -> None:
    asked = Asked()
    decide = Remembered(asked)
    for rows in ([0, 1, 0], [1, 2, 3], [3, 0], [2, 2, 2, 2]):
        check(decide(SEEN[rows]), SEEN[rows])
    assert [len(rows) for rows in asked.asked] == [2, 2]


def test_it_sees_rows_that_do_not_lie_together() -> None:
    decide = Remembered(Asked())
    turned = np.asfortranarray(SEEN)
    check(decide(turned[::2]), SEEN[::2])
    check(decide(SEEN[::2]), SEEN[::2])


def test_what_there_is_no_room_for_is_decided_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "ROOM", 3)
    asked = Asked()
    decide = Remembered(asked)
    for rows in ([0, 1], [0, 1, 2, 3], [2, 3], [2, 3], [1, 0]):
        check(decide(SEEN[rows]), SEEN[rows])
    assert [len(rows) for rows in asked.asked] == [2, 4, 2, 2]  # the last two rows were known


@pytest.mark.parametrize("hidden", [(8,), (64, 64)])
def test_a_decision_depends_neither_on_what_else_is_seen_nor_on_when(hidden: tuple[int, ...]) -> None:
    """Networks round by how many rows they get, and boards have symmetries, by which actions are equal."""
    game = make("coin_game/ivanov-7x7", observation="mutual")
    role = Algorithm3(joint_values=True, contingent=True, mirrored=True, bonus=0.01, hidden=hidden)
    torch.manual_seed(0)
    principal = TrainedPrincipal(role.shape(game), role._margins(), mirrored=True)
    states = take(game.representatives(), np.arange(0, 4802, 80))
    together = principal(game, states)
    for size in (1, 7, 40):
        again = principal.promising()
        chosen = np.random.default_rng(size).permutation(61)
        for first in range(0, 61, size):
            rows = chosen[first : first + size]
            for one, other in zip(again(game, take(states, rows)), together, strict=True):
                np.testing.assert_array_equal(one, other[rows])
