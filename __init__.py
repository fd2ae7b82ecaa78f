"""Paymaster: what does it cost to make self-interested learners cooperate, and who pays?"""

from __future__ import annotations

from .baselines import make_mechanism
from .envs import make
from .envs.config import UsageError
from .envs.version import VERSION
from .views import env, parallel_env, register_games

__version__ = VERSION

__all__ = ["UsageError", "__version__", "env", "make", "make_mechanism", "parallel_env"]

register_games()
