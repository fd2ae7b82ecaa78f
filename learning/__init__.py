"""Learning: settings, losses, RLlib algorithms over arrays, and the saved policies and principals.

The names that the README and plugins use are here. Most are imported on first use, since they load torch and RLlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..core.config import require
from .settings import ALGORITHMS, PRINCIPALS, DQNSettings, PPOSettings, Resources

if TYPE_CHECKING:
    from .phases import agents_config, evaluate, train_agents, train_principal
    from .policies.networks import load_policy
    from .principals.loading import load_principal

LATER = {
    "agents_config": ".phases", "evaluate": ".phases", "train_agents": ".phases", "train_principal": ".phases",
    "load_policy": ".policies.networks", "load_principal": ".principals.loading",
}  # fmt: skip

__all__ = [
    "ALGORITHMS", "PRINCIPALS", "DQNSettings", "PPOSettings", "Resources", "agents_config", "evaluate", "load_policy",
    "load_principal", "train_agents", "train_principal",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("torch", "ray", what=f"paymaster.learning.{name}")
    return getattr(import_module(LATER[name], __name__), name)
