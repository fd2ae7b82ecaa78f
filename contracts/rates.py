"""A contract of rates: so much for each verifiable thing that an agent does, offered anew every few steps."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ..core.config import UsageError, configuration
from .ledger import Ledger
from .mechanism import Decisions, Mechanism, Summary, Transition

THERMOMETER_BINS = (
    8  # of a rate's thermometer: one number among the hundreds of a map's cells would be long in being noticed
)
CAP_TOLERANCE = 1e-6  # of a cap: so little left is nothing left


class Rates(NamedTuple):
    """What holds for a step."""

    rates: np.ndarray  # (B, N, K) float32 what each verifiable fact pays each agent, >= 0


class RatesMemory(NamedTuple):
    """What lasts beyond a step."""

    rates: np.ndarray  # (B, N, K) float32 as they were offered last
    age: np.ndarray  # (B,) int32 steps of the episode that were played
    paid: np.ndarray  # (B,) float64 in the episode so far, to all agents


@configuration
class EpisodeRates(Mechanism):
    """Each episode a principal offers each agent a rate for each verifiable fact, which holds to its end. Payments.

    Agent i earns `r_i + sum_k b_ik f_ik`, with `f_ik` how often it did what fact k says and rates `b_ik >= 0` (limited
    liability), which it sees, as shares of `highest`, for as long as they hold.
    """

    highest: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    """The highest rate that the principal can offer, in reward."""

    def check_principal(self) -> None:
        """Raise UsageError for a game without a verifiable fact."""
        if not self.game.verifiable:
            raise UsageError(
                f"a contract of rates pays on verifiable facts, and {type(self.game).__name__} names none; choose a "
                "game that does, or principal-dqn, which pays for following"
            )

    @property
    def terms_size(self) -> int:  # type: ignore[override]
        return len(self.game.verifiable) * THERMOMETER_BINS

    @property
    def promised_shape(self) -> tuple[int, ...]:
        return (len(self.game.agents), len(self.game.verifiable))

    def start(self, keys: np.ndarray) -> RatesMemory:
        B = len(keys)
        return RatesMemory(np.zeros((B, *self.promised_shape), np.float32), np.zeros(B, np.int32), np.zeros(B))

    def due(self, memory: RatesMemory, B: int) -> np.ndarray:
        """(B,) bool: where the coming step has new rates."""
        return memory.age == 0

    def offer(self, memory: RatesMemory, state: Any, decisions: Decisions | None) -> tuple[Rates, RatesMemory]:
        if decisions is not None:
            due = self.due(memory, len(memory.age))[:, None, None]
            memory = memory._replace(rates=np.where(due, decisions.promised, memory.rates).astype(np.float32))
        elif self.due(memory, len(memory.age)).any():
            raise ValueError("a contract of rates needs a principal's decisions wherever rates are due")
        return Rates(memory.rates), memory

    def view(self, terms: Rates, B: int) -> np.ndarray:
        """Each rate as a thermometer of `THERMOMETER_BINS` columns, which fill from 0 to 1 one after the other."""
        height = terms.rates[..., None] * np.float32(THERMOMETER_BINS / self.highest) - np.arange(
            THERMOMETER_BINS, dtype=np.float32
        )
        return np.clip(height, 0.0, 1.0).reshape(*terms.rates.shape[:2], -1)

    def summary(self, terms: Rates, B: int) -> Summary:
        """The rates, as what each fact pays."""
        return super().summary(terms, B)._replace(promised=terms.rates)

    @property
    def recorded(self) -> tuple[str, ...]:
        return tuple(f"rate_{fact}" for fact in self.game.verifiable)

    def record(self, terms: Rates, B: int) -> np.ndarray:
        """The rate of each fact, a mean over the agents."""
        return terms.rates.mean(axis=1)

    def settle(self, memory: RatesMemory, transition: Transition) -> tuple[Ledger, RatesMemory]:
        payments = (transition.terms.rates * self.game.facts(transition.events)).sum(axis=-1, dtype=np.float64)
        payments = self.limited(payments, memory)
        memory = memory._replace(age=memory.age + 1, paid=memory.paid + payments.sum(axis=1))
        return Ledger.zeros(*transition.rewards.shape)._replace(payments=payments.astype(np.float32)), memory

    def limited(self, payments: np.ndarray, memory: RatesMemory) -> np.ndarray:
        """What is paid of the `payments` (B, N) of a step: all of it."""
        return payments


@configuration
class RatesContract(EpisodeRates):
    """Every few steps a learned principal offers each agent a rate for each verifiable fact. Payments.

    Agent i earns `r_i + sum_k b_ik f_ik`, with `f_ik` how often it did what fact k says and rates `b_ik >= 0` (limited
    liability), which it sees, as shares of `highest`, for as long as they hold. They hold for `every` steps, or to the
    end of the episode. Where a step's payments would exceed what is left of the `cap`, all are cut by the same factor;
    where nothing is left, the rates that hold and are seen are 0.

    Linear contracts on what is verified: Dutting, Roughgarden and Talgam-Cohen 2019; a principal that learns beside
    the agents by policy gradients: the planner of Zheng et al. 2022, "The AI Economist", here with payments that are
    its cost.
    """

    principal: ClassVar[str] = "principal-ppo"

    every: int = Field(default=50, ge=1)
    """Steps for which rates hold; 1: each step has its own; the horizon, or more: each episode has."""
    cap: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """The most that is paid in an episode, to all agents together; none unless given."""

    def due(self, memory: RatesMemory, B: int) -> np.ndarray:
        """(B,) bool: where the coming step has new rates."""
        return memory.age % self.every == 0

    def left(self, memory: RatesMemory) -> np.ndarray:
        """(B,) the share of the cap that is left, in [0, 1]; 1 without a cap."""
        if self.cap is None:
            return np.ones(len(memory.paid))
        return np.clip(1.0 - memory.paid / max(self.cap, CAP_TOLERANCE), 0.0, 1.0)

    def offer(self, memory: RatesMemory, state: Any, decisions: Decisions | None) -> tuple[Rates, RatesMemory]:
        terms, memory = super().offer(memory, state, decisions)
        left = (self.left(memory) > CAP_TOLERANCE)[:, None, None]
        return Rates(np.where(left, terms.rates, np.float32(0.0))), memory

    def limited(self, payments: np.ndarray, memory: RatesMemory) -> np.ndarray:
        """What is paid of the `payments` (B, N) of a step: all, or what is left of the cap, cut by the same factor."""
        if self.cap is None:
            return payments
        total, left = payments.sum(axis=1), np.maximum(self.cap - memory.paid, 0.0)
        return payments * np.where(total > left, left / np.maximum(total, CAP_TOLERANCE), 1.0)[:, None]
