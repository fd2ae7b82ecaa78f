"""What a run is: a value, complete in itself, from which its folder's name and everything it does follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.config import UsageError

if TYPE_CHECKING:
    from ...contracts.signing import Rule

DEFAULT_STEPS = 200_000  # environment steps in which agents learn, where a single run names no budget

Values = dict[str, object]  # by name, as the user gave them; checked where they are used
Column = Literal["payment_share", "best_theta", "voted_theta", "negotiated_theta"]
THETAS: dict[str, Rule] = {"best_theta": "best", "voted_theta": "voted", "negotiated_theta": "negotiated"}
"""The columns that only agents under drawn contracts give, and by which rule they choose."""


class Model(BaseModel):
    """Read from files: frozen, and a field that does not exist is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Reference(Model):
    """A parameter whose value another run of the same seed gives.

    `payment_share` is its evaluation's mean payment / mean welfare; the others are the price of the contract that its
    agents sign, who learned under drawn ones (`contracts/formal_contracts.py`), none where they sign none.
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
    """Of the algorithm, where they differ from its defaults."""
    principal: Values = {}
    """Settings of the principal's own training, where they differ from the defaults."""
    principal_from: RunSpec | None = None
    """The run whose trained principal is taken, frozen, instead of training one."""
    agents_from: RunSpec | None = None
    """The run whose agents go on learning here, instead of fresh ones."""
    resources: Values = {}
    """Remote runners and learners, and GPUs, where any are used. They change what is learned, so they belong to it."""
    steps: int = Field(ge=1)
    """Environment steps of the phase validate: the budget, equal for all that are compared."""
    episodes: int = Field(1024, ge=1)
    """Episodes of the phase evaluate."""
    seed: int = Field(0, ge=0, lt=2**31)

    def needs(self) -> Iterator[RunSpec]:
        """The runs that must have finished before."""
        if self.principal_from is not None:
            yield self.principal_from
        if self.agents_from is not None:
            yield self.agents_from
        for value in self.parameters.values():
            if isinstance(value, Reference):
                yield value.source


def read_spec(values: object, *, what: str) -> RunSpec:
    """A spec from JSON values. Raises UsageError naming `what` they are."""
    try:
        return RunSpec.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{what}: {faults(error)}") from None


def faults(error: ValidationError) -> str:
    """Every fault of a file's content, as where it is, what is allowed and the value got."""
    where = [".".join(str(part) for part in fault["loc"]) or "top level" for fault in error.errors()]
    return "; ".join(
        f"{place}: {fault['msg'].lower()} (got {short(fault['input'])})"
        for place, fault in zip(where, error.errors(), strict=True)
    )


def short(value: object, limit: int = 60) -> str:
    """A value as it may stand in a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
