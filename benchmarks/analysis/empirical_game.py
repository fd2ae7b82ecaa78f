"""The empirical game of two learned policies: in a Markov game each agent cooperates by one or defects by the other."""

from __future__ import annotations

from itertools import product

import numpy as np

from ...baselines import make_mechanism
from ...contracts.loop import Act
from ...envs.game import Game


def empirical_payoffs(game: Game, cooperating: Act, defecting: Act, *, seed: int, episodes: int) -> np.ndarray:
    """(2,) * N + (N,): each agent's mean return over `episodes`, by who cooperates (0) and who defects (1).

    All 2 ** N profiles are played on the same keys. This is the empirical game of Leibo et al. 2017
    (arXiv:1702.03037), in the form that `equilibria/normal_form/transfer_levels.py` reads.
    """
    from ...learning.phases import evaluate

    N, selfish = len(game.agents), make_mechanism("selfish", game)
    payoffs = np.empty((2,) * N + (N,))
    for profile in product((0, 1), repeat=N):
        mixed = _mixed(cooperating, defecting, np.array(profile) == 0)
        payoffs[profile] = evaluate(game, selfish, None, mixed, seed=seed, episodes=episodes).returns.mean(axis=0)
    return payoffs


def _mixed(cooperating: Act, defecting: Act, cooperates: np.ndarray) -> Act:
    """The joint policy in which the agents that `cooperates` (N,) marks play one policy and the others the other."""
    return lambda seen: np.where(cooperates, cooperating(seen), defecting(seen))
