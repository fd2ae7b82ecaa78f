"""The spec of a run: a complete value that determines the run's folder and everything that the run does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.config import UsageError

if TYPE_CHECKING:
    from ...learning.signing import Rule

DEFAULT_STEPS = 200_000  # environment steps of learning in a single run, unless it names a budget

Values = dict[str, object]  # values by name, as the user gave them; they are checked where they are used
Column = Literal["payment_share", "payment", "paid_welfare", "best_theta", "voted_theta", "negotiated_theta"]
THETAS: dict[str, Rule] = {"best_theta": "best", "voted_theta": "voted", "negotiated_theta": "negotiated"}
"""The columns that only agents under drawn contracts give, each with the rule by which the agents choose."""


class Model(BaseModel):
    """A frozen model that is read from a file and refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Reference(Model):
    """A parameter whose value another run of the same seed gives.

    `payment_share` is the mean payment / mean welfare of its evaluation, and `payment` that mean payment. Of a run of
    funded-share, `paid_welfare` is the mean payment / its share: the positive welfare on which it paid. The others are
    the price of the contract that its agents sign after they learned under drawn contracts (`learning/signing.py`);
    None where they sign none.
    """

    source: RunSpec = Field(alias="from")
    column: Column


class RunSpec(Model):
    """A game under a mechanism, the learner that plays it, budgets and a seed."""

    game: str
    rules: Values = {}
    mechanism: str
    parameters: dict[str, Annotated[Reference | object, Field(union_mode="left_to_right")]] = {}
    algorithm: str = "dqn"
    settings: Values = {}
    """Settings of the algorithm that differ from its defaults."""
    principal: Values = {}
    """Settings of the principal's training that differ from the defaults."""
    principal_from: RunSpec | None = None
    """The run whose trained principal is taken, frozen; no other is trained."""
    agents_from: RunSpec | None = None
    """The run whose agents learn further here (warm start), instead of fresh agents."""
    policies_from: dict[str, RunSpec] = {}
    """The runs by whose agents' policies the algorithm plays, by the names that it gives them."""
    resources: Values = {}
    """Remote runners, remote learners and GPUs. They change what is learned, so they are part of the spec."""
    steps: int = Field(ge=1)
    """The budget: environment steps of the phase validate, equal for all runs that are compared."""
    episodes: int = Field(1024, ge=1)
    """Episodes of the phase evaluate."""
    seed: int = Field(0, ge=0, lt=2**31)

    def needs(self) -> Iterator[RunSpec]:
        """The specs of the runs that must be finished first."""
        if self.principal_from is not None:
            yield self.principal_from
        if self.agents_from is not None:
            yield self.agents_from
        yield from self.policies_from.values()
        for value in self.parameters.values():
            if isinstance(value, Reference):
                yield value.source


def read_spec(values: object, *, what: str) -> RunSpec:
    """The spec that JSON values describe. Raises UsageError, which says `what` the values are."""
    try:
        return RunSpec.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{what}: {faults(error)}") from None


def faults(error: ValidationError) -> str:
    """All faults of a file's content: each with its place, what is allowed there, and the value got."""
    where = [".".join(str(part) for part in fault["loc"]) or "top level" for fault in error.errors()]
    return "; ".join(
        f"{place}: {fault['msg'].lower()} (got {short(fault['input'])})"
        for place, fault in zip(where, error.errors(), strict=True)
    )


def short(value: object, limit: int = 60) -> str:
    """The text of a value for a message, at most `limit` characters long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
