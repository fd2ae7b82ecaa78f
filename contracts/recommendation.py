"""The contract of Ivanov et al. 2024: in every state a recommended action, and pay if and only if it is followed."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ..core.config import UsageError, configuration
from ..envs.game import hides_actions
from .ledger import Ledger
from .mechanism import Decisions, Mechanism, Summary, Transition


class Terms(NamedTuple):
    """A principal's decisions, and who is on probation."""

    recommended: np.ndarray  # (B, N) int
    promised: np.ndarray  # (B, N) or (B, N, A^(N-1)) float32, nothing on probation
    probation: np.ndarray  # (B, N) float32: the share of it that is still to come


@configuration
class RecommendationContract(Mechanism):
    """A principal recommends an action to each agent and pays it for following, with limited liability (pay >= 0).

    Terms are the principal's `Decisions`. Ivanov et al. 2024, section 5. What it promises may be contingent on what the
    others do: with `promised` (B, N, A^(N-1)) following pays agent i by the joint action of the others
    (`others_index`). People, and agents with `shows_pay`, are then told what it pays if all follow.

    With a `probation` (ours) an agent that does not follow is paid nothing for the next steps either, and sees for how
    long. Least payments are priced so that an agent that stops following, and is never paid again, loses nothing: who
    may deviate for nothing and be paid for coming back, again and again, gains by every error of the prices.
    """

    shows_pay: bool = False
    """Whether an agent sees what following pays, beside the recommended action; in the paper it must learn it."""
    probation: int = Field(default=0, ge=0)
    """Steps for which following pays nothing after a step in which an agent did not follow."""

    principal: ClassVar[str] = "principal-dqn"

    @property
    def terms_size(self) -> int:  # type: ignore[override]
        return len(self.game.action_names) + self.shows_pay + (self.probation > 0)

    @property
    def promised_shapes(self) -> tuple[tuple[int, ...], ...]:
        """`promised_shape`, or (N, A^(N-1)) where a promise is contingent on what the others do."""
        N = len(self.game.agents)
        return self.promised_shape, (N, len(self.game.action_names) ** (N - 1))

    def start(self, keys: np.ndarray) -> Any:
        """No memory, or with a `probation` the steps of it (B, N) that are still to come."""
        return np.zeros((len(keys), len(self.game.agents)), np.int32) if self.probation else ()

    def check_principal(self) -> None:
        if hides_actions(self.game):
            raise UsageError(
                f"it pays for actions, and {type(self.game).__name__} hides them; choose outcome-dqn, which pays on "
                "outcomes"
            )

    def offer(self, memory: Any, state: Any, decisions: Decisions | None) -> tuple[Decisions | Terms, Any]:
        if decisions is None:
            raise ValueError("a recommendation contract needs a principal's decisions for every step")
        self._check_promised(decisions.promised)
        if not self.probation:
            return decisions, memory
        waits = (memory > 0).reshape(*memory.shape, *[1] * (decisions.promised.ndim - 2))
        promised = np.where(waits, 0.0, decisions.promised).astype(np.float32)
        return Terms(decisions.recommended, promised, (memory / self.probation).astype(np.float32)), memory

    def view(self, terms: Any, B: int) -> np.ndarray:
        shown = [np.eye(len(self.game.action_names), dtype=np.float32)[terms.recommended]]
        shown += [self.pay(terms, terms.recommended)[..., None]] if self.shows_pay else []
        shown += [terms.probation[..., None]] if self.probation else []
        return np.concatenate(shown, axis=-1)

    def summary(self, terms: Any, B: int) -> Summary:
        """What is recommended and promised if all follow, and in words whether it hangs on that, and any probation."""
        words = np.full(terms.recommended.shape, "if all follow" if terms.promised.ndim == 3 else "", dtype="U32")
        if self.probation:
            left = np.rint(terms.probation * self.probation).astype(int)
            words = np.where(left > 0, np.char.add("probation ", left.astype(str)), words)
        return Summary(terms.recommended, self.pay(terms, terms.recommended), words)

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        followed = self.complied(transition.terms, transition.actions)
        payments = np.where(followed, self.pay(transition.terms, transition.actions), 0.0).astype(np.float32)
        if self.probation:
            memory = np.where(followed, np.maximum(memory - 1, 0), self.probation).astype(np.int32)
        return Ledger.zeros(*transition.rewards.shape)._replace(payments=payments), memory

    def pay(self, terms: Any, actions: np.ndarray) -> np.ndarray:
        """(B, N): what each agent is paid for following while the others take their part of `actions` (B, N)."""
        if terms.promised.ndim == 2:
            return np.asarray(terms.promised)
        others = others_index(actions, len(self.game.action_names))
        return np.take_along_axis(terms.promised, others[..., None], axis=2)[..., 0]

    def complied(self, terms: Any, chosen: np.ndarray) -> np.ndarray:
        return terms.recommended == chosen

    def _check_promised(self, promised: np.ndarray) -> None:
        """Raise UsageError unless `promised` has one of the shapes that the contract knows."""
        if promised.shape[1:] not in self.promised_shapes:
            raise UsageError(
                f"a principal promised an array of shape {promised.shape}; allowed for each environment, the first "
                f"axis: {' or '.join(map(str, self.promised_shapes))}"
            )


def others_index(actions: np.ndarray, A: int) -> np.ndarray:
    """(B, N): the index of the others' joint action beside each agent, in [0, A^(N-1)), from `actions` (B, N).

    The others' joint actions are in lexicographic order, the first of the others varying slowest.
    """
    N = actions.shape[1]
    powers = A ** np.arange(N - 1)[::-1]
    others = [np.delete(actions, i, axis=1).astype(np.int64) @ powers for i in range(N)]
    return np.stack(others, axis=1)
