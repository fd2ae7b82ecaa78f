"""The rules by which a joint action is chosen in a stage game."""

from __future__ import annotations

from enum import IntEnum


class Rule(IntEnum):
    """A rule of `stage_games.sweep`. Kernels read the members as the integers that they are."""

    COOPERATIVE = 0
    """The social optimum: the joint action of highest total value."""
    HIGHEST = 1
    """The pure Nash equilibrium of highest total value; where there is none, the one of `mixed_equilibrium`."""
    LOWEST = 2
    """The same of lowest total value."""
    PRINCIPAL = 3
    """The joint action that maximises objective / alpha - payments, each payment the agent's regret of its action.

    Where there is no pure equilibrium and HIGHEST's mixed one, unpaid, is worth more to the principal, that one.
    """
    DOMINANT = 4
    """As PRINCIPAL, each payment the agent's largest regret of its action over all actions of the others."""
    ANSWER = 5
    """The joint action chosen before where it is a Nash equilibrium; else as HIGHEST."""
    CONTINGENT = 6
    """As PRINCIPAL, each payment the agent's regret of its action beside what the others really do, so that the action
    is a dominant strategy. Where all follow it is PRINCIPAL's payment, so the choice is PRINCIPAL's too."""
