"""RLlib: plays the loop over arrays, trains every role with PPO and DQN, keeps the weights."""

from .settings import ALGORITHMS, PRINCIPALS, Resources

__all__ = ["ALGORITHMS", "PRINCIPALS", "Resources"]
