"""A Markov game as one of two actions: each agent cooperates or defects by a policy that it has learned."""

from __future__ import annotations

from itertools import product

import numpy as np

from ...baselines import make_mechanism
from ...contracts.loop import Act
from ...envs.game import Game


def empirical_payoffs(game: Game, cooperating: Act, defecting: Act, *, seed: int, episodes: int) -> np.ndarray:
    """(2,) * N + (N,): what each agent earns in an episode, the mean of `episodes`, if each cooperates (0) or defects.

    All 2 ** N profiles play the same keys. This is the empirical game of Leibo et al. 2017 (arXiv:1702.03037), in the
    form that `contracts/reward_transfer.py` reads.
    """
    from ...learning.phases import evaluate

    N, selfish = len(game.agents), make_mechanism("selfish", game)
    payoffs = np.empty((2,) * N + (N,))
    for profile in product((0, 1), repeat=N):
        mixed = _mixed(cooperating, defecting, np.array(profile) == 0)
        payoffs[profile] = evaluate(game, selfish, None, mixed, seed=seed, episodes=episodes).returns.mean(axis=0)
    return payoffs


def _mixed(cooperating: Act, defecting: Act, cooperates: np.ndarray) -> Act:
    """The policy under which those who `cooperates` (N,) play one, the others the other."""
    return lambda seen: np.where(cooperates, cooperating(seen), defecting(seen))
