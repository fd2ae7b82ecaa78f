"""What a learned principal promises by its values: the settings on which none of its training depends."""

from __future__ import annotations

from pydantic import Field

from ..core.config import configuration


@configuration
class Promise:
    """How least payments, as a trained principal values them, become what it promises."""

    nudge: float = Field(default=0.0, ge=0.0)
    """Paid on top of the least payment, where one is due."""
    due: float = Field(default=0.0, ge=0.0)
    """The least payment up to which none is due: smaller ones are errors of the value estimates."""
    bonus: float = Field(default=0.0, ge=0.0)
    """Paid for following at every step, whether a payment is due or not."""
    stake: float = Field(default=0.0, ge=0.0)
    """By which share of what an action would cost the principal following is made better than it for the agent."""
    robust: bool = False
    """Whether a payment is the least that is enough also while no other agent follows."""
    cap: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    """The most that an agent is paid in one step, `nudge` and `bonus` included; no limit unless given."""
