"""What was trained elsewhere and is only recorded here: agents, and principals. Their weights are not kept."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, ClassVar

from pydantic import Field

from ..contracts.mechanism import Mechanism
from ..core.checkpoint import Saved
from ..core.config import UsageError, configuration
from .role import Role, Task, Update

EXTERNAL = "external"  # the algorithm of such agents, and the setting by which a principal says that it is one

Name = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9 ._+-]*)?$", max_length=60)]


@configuration
class External(Role):
    """Agents that learned elsewhere, which `paymaster.record` evaluates and records."""

    plays: ClassVar[str] = "agents"
    learns: ClassVar[bool] = False

    learner: Name = ""
    """The name of the learner."""

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError where no learner is named, which a run that is made here never does."""
        if not self.learner:
            raise UsageError(_not_made("agents"))

    def learn(self, task: Task) -> Generator[Update, None, Saved]:
        yield from ()
        raise UsageError(_not_made(f"agents of {self.learner}"))

    def kept(self) -> type[Saved]:
        raise UsageError(_not_kept(f"agents of {self.learner}"))


@configuration
class ExternalPrincipal(Role):
    """A principal that learned elsewhere."""

    learns: ClassVar[bool] = False

    external: Annotated[Name, Field(min_length=1)]
    """The name of its learner."""

    def learn(self, task: Task) -> Generator[Update, None, Saved]:
        yield from ()
        raise UsageError(_not_made(f"a principal of {self.external}"))

    def kept(self) -> type[Saved]:
        raise UsageError(_not_kept(f"principal of {self.external}"))


def _not_made(who: str) -> str:
    return (
        f"{who} that learned elsewhere cannot be trained here: record them with paymaster.record, or name an algorithm"
    )


def _not_kept(who: str) -> str:
    return (
        f"the {who} learned elsewhere, and the weights are not in this run's folder: it can be compared and rendered, "
        "and was audited when it was recorded if its game is small"
    )
