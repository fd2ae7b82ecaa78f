"""The rules by which a joint action is chosen in a stage game."""

from __future__ import annotations

from enum import IntEnum


class Rule(IntEnum):
    """A rule of `stage_games.sweep`. Kernels read the members as the integers that they are."""

    COOPERATIVE = 0
    """The social optimum: the joint action of highest total value."""
    HIGHEST = 1
    """The pure Nash equilibrium of highest total value; a mixed one, by the same rule, where there is no pure one."""
    LOWEST = 2
    """The pure Nash equilibrium of lowest total value; a mixed one, by the same rule, where there is no pure one."""
    PRINCIPAL = 3
    """The joint action that maximises objective / alpha - payments, each payment the agent's regret of its action."""
    DOMINANT = 4
    """As PRINCIPAL, each payment the agent's largest regret of its action over all actions of the others."""
    ANSWER = 5
    """The joint action chosen before where it is a Nash equilibrium; else as HIGHEST."""
    CONTINGENT = 6
    """As PRINCIPAL, each payment the agent's regret of its action beside what the others really do, so that the action
    is a dominant strategy. Where all follow it is PRINCIPAL's payment, so the choice is PRINCIPAL's too."""
