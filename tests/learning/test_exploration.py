"""Exploration by draws that are given: how often, evenly, and the same for the same draws."""

from __future__ import annotations

import numpy as np
import torch

from paymaster.core.random import Stream
from paymaster.learning.exploration import epsilon_greedy, sampled

NOISE = torch.from_numpy(Stream(0, 9).uniform(100_000))


def test_epsilon_falls_linearly_and_explores_evenly() -> None:
    greedy = torch.full((100_000,), 2)
    for progress, epsilon in ((0.0, 0.4), (0.25, 0.3), (0.5, 0.2), (0.9, 0.2)):
        actions = epsilon_greedy(greedy, 4, (0.4, 0.2, 0.5), progress, NOISE)
        shares = np.bincount(actions, minlength=4) / len(actions)
        expected = np.full(4, epsilon / 4)
        expected[2] += 1 - epsilon
        np.testing.assert_allclose(shares, expected, atol=0.005)


def test_without_epsilon_the_greedy_action_is_played() -> None:
    greedy = torch.arange(4)
    assert torch.equal(epsilon_greedy(greedy, 4, (0.5, 0.0, 1.0), 1.0, torch.zeros(4)), greedy)


def test_logits_are_drawn_from_by_the_inverse_of_their_distribution() -> None:
    logits = torch.tensor([0.2, 0.5, 0.3]).log().expand(100_000, 3)
    shares = np.bincount(sampled(logits, NOISE), minlength=3) / 100_000
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.3], atol=0.005)
    assert sampled(logits[:4], torch.tensor([0.0, 0.19, 0.21, 1.0])).tolist() == [0, 0, 1, 2]
