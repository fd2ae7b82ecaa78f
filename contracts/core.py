"""The path by which plugins have imported `Mechanism`; new ones take it from `paymaster.mechanisms`."""

from .ledger import Ledger, nothing
from .mechanism import Decisions, Mechanism, Transition

__all__ = ["Decisions", "Ledger", "Mechanism", "Transition", "nothing"]
