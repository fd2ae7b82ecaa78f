"""What a frozen principal decided once is found again by what the agents see."""

from __future__ import annotations

import numpy as np
import pytest

from paymaster.contracts.mechanism import Decisions
from paymaster.learning.principals import remembered
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
    assert sorted(len(rows) for rows in asked.asked) == [2, 2]


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
