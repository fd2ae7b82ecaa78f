"""What a learned principal promises by its values: the settings on which none of its training depends."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

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
    contingent: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Whether following pays by what the others did, which makes following dominant; for a principal that was
    trained with `joint_values`."""
    strict_margin: Annotated[Amount, Field(exclude_if=lambda value: value == 0.0)] = 0.0
    """By how much following is made better for the agent than every other action: the nudge xi of Ivanov et al. 2024,
    which is due too where following is best already, by less than that."""

    @model_validator(mode="after")
    def _exclude_each_other(self) -> Self:
        if self.contingent and self.dominant:
            raise ValueError("contingent payments make following dominant already: leave robust out")
        return self
