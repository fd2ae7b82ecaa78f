"""The path by which plugins have imported `configuration`; new ones take it from `paymaster.games` or `.mechanisms`."""

from ..core.config import UsageError, configuration

__all__ = ["UsageError", "configuration"]
