"""What a learned principal promises by its values: the settings on which none of its training depends."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..core.config import configuration

Amount = Annotated[float, Field(ge=0.0)]


@configuration
class PaymentMargins:
    """How least payments, as a trained principal values them, become what it promises."""

    margin: Annotated[Amount, Field(alias="nudge")] = 0.0
    """Paid on top of the least payment, where one is due."""
    threshold: Annotated[Amount, Field(alias="due")] = 0.0
    """The least payment up to which none is due: smaller ones are errors of the value estimates."""
    base_pay: Annotated[Amount, Field(alias="bonus")] = 0.0
    """Paid for following at every step, whether a payment is due or not."""
    proportional_margin: Annotated[Amount, Field(alias="stake")] = 0.0
    """By which share of what an action would cost the principal following is made better than it for the agent."""
    dominant: Annotated[bool, Field(alias="robust")] = False
    """Whether a payment is the least that is enough also while no other agent follows."""
    max_payment: Annotated[float | None, Field(gt=0.0, allow_inf_nan=False, alias="cap")] = None
    """The most that an agent is paid in one step, all margins included; no limit unless given."""
