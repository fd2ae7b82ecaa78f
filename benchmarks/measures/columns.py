"""The columns of a comparison: one entry declares how a metric is computed, stored, called, explained and shown.

To add a metric, add one entry to `_ENTRIES`, of which `COLUMNS` is made. Reading runs, writing and reading CSV tables,
comparing, the text tables with their notes, JSON and the page of docs iterate over the entries and know none of them by
name, but for the welfare and the payment, on which comparisons and pictures rest, and the gain that tells who has
converged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from .audit import Audit, Judged, Money, regret
from .exact_solutions import ALPHA, Exact
from .formulas import utility

if TYPE_CHECKING:
    import pandas as pd

WELFARE, PAYMENT, GAIN = "welfare", "principal_payment", "learned_gain_share"
CONVERGED = 0.02  # agents have converged where no best response adds more than this share of an agent's value
ALIKE = 0.999  # the share of actions alike in symmetric states from which an audit judges what the agents play


class Section(Enum):
    """Where a column stands in a text table."""

    PLAY = "what the agents did in the evaluation"
    AUDIT = "what an audit found"
    DISTANCE = "how far the evaluation is from exact benchmarks"


class Stored(Enum):
    """Whether a column is in CSV tables, and whether its cells may be empty."""

    VALUE = "always"
    COLUMN = "always; empty where undefined or unknown"
    LATER = "but in older tables; empty where undefined or unknown"
    NEVER = "no: computed from the others"


class RunData(NamedTuple):
    """What a column is computed from: the evaluation of one run."""

    episodes: pd.DataFrame  # a row for each evaluated episode, with the columns of `runs.record.episode_table`
    audit: Audit | None
    recorded: Mapping[str, float | None]  # what run.json records of the evaluation

    def mean(self, name: str) -> float | None:
        """The mean of a column over the episodes that have a value; None where none has."""
        if name not in self.episodes:
            return None
        value = float(self.episodes[name].astype("float64").mean())
        return None if value != value else value

    def sum_over_agents(self, name: str) -> float | None:
        """The mean over the episodes of the sum of all agents' columns `name_i`; None where there is none."""
        found = [self.mean(each) for each in map(str, self.episodes) if re.fullmatch(rf"{name}_\d+", each)]
        return None if not found or None in found else float(sum(filter(None, found)))

    @property
    def money(self) -> Money:
        """The means of welfare and payment."""
        return Money.model_validate({"welfare": self.mean(WELFARE), "payment": self.mean(PAYMENT)})


class Column(NamedTuple):
    """A metric of a run's evaluation."""

    name: str  # in CSV tables, in JSON and in code
    head: str  # above a text table: short, since a note below explains it
    label: str  # the field's name for it
    about: str  # what it is, as the end of a sentence that begins with the label
    of_run: Callable[[RunData], float | None] | None = None  # None where it is not stored
    of_row: Callable[[Mapping[str, float]], float | None] | None = None  # from a row's stored columns, where it is not
    of_exact: Callable[[Exact], float | None] = lambda exact: None  # the same of an exact solution
    section: Section = Section.PLAY
    stored: Stored = Stored.LATER
    format: str = "{:.2f}"  # of a cell
    always: bool = False  # shown even where it is 0 throughout
    after: str = ""  # the column behind which it is shown; stored it keeps its own place
    interval: bool = False  # shown with its interval; JSON has every one
    joins: str = ""  # the column whose place in a text table it shares, since hardly any mechanism has both

    def text(self, value: float | None) -> str:
        """A cell; empty where the metric is undefined or unknown."""
        return "" if value is None or value != value else self.format.format(value)

    @property
    def note(self) -> str:
        """What the head stands for."""
        return f"{self.head}: {self.label + ', ' if self.label != self.head else ''}{self.about}"


def columns(*sections: Section) -> Iterator[Column]:
    """The columns of the `sections`, in the order of `COLUMNS`."""
    return (column for column in COLUMNS.values() if column.section in sections)


def distances(evaluated: Money, benchmarks: Mapping[str, Money]) -> dict[str, float]:
    """The columns of the section DISTANCE, by name: to each benchmark, the welfare gap and the overpayment."""
    apart = {name: regret(evaluated, benchmark) for name, benchmark in benchmarks.items()}
    return {f"{kind}_regret_{name}": value for name, money in apart.items() for kind, value in money}


def _share(welfare: float | None, payment: float | None) -> float | None:
    return payment / welfare if welfare is not None and payment is not None and welfare > 0 else None


def _utility(values: Mapping[str, float]) -> float:
    return utility(values[WELFARE], values[PAYMENT], ALPHA, values.get("principal_return"))


def _mean(name: str) -> Callable[[RunData], float | None]:
    return lambda run: run.mean(name)


def _audited(of: Callable[[Audit], float | None]) -> Callable[[RunData], float | None]:
    return lambda run: of(run.audit) if run.audit else None


def _obedient(of: Callable[[Judged], float]) -> Callable[[RunData], float | None]:
    return _audited(lambda audit: of(audit.followed) if audit.followed else None)


def _deviation_regret(run: RunData) -> float | None:
    """The record's; of a run that was audited only later, the audit's."""
    recorded = run.mean("deviation_regret")
    return run.audit.deviation_regret if recorded is None and run.audit else recorded


def _relative_gain(audit: Audit) -> float | None:
    """None where the table's policy is not what the agents play: in Cleanup its welfare can be half as much again."""
    return audit.learned.relative_gain if audit.agreement >= ALIKE else None


def _worst_welfare(audit: Audit) -> float | None:
    return next((each.welfare for each in audit.equilibria if each.found == audit.worst), None)


def _distance(name: str) -> Callable[[RunData], float | None]:
    return lambda run: distances(run.money, run.audit.benchmarks).get(name) if run.audit else None


_ENTRIES = (
    Column(
        "welfare", "welfare", "welfare", "the sum of the agents' rewards in an episode",
        _mean(WELFARE), of_exact=lambda exact: exact.welfare, stored=Stored.VALUE, always=True, interval=True,
    ),
    Column(
        "principal_payment", "payment", "payment", "what the principal pays in an episode",
        _mean(PAYMENT), of_exact=lambda exact: exact.payment, stored=Stored.VALUE, always=True,
    ),
    Column(
        "payment_share", "share", "payment share", "the payment as a fraction of the welfare",
        lambda run: _share(run.mean(WELFARE), run.mean(PAYMENT)),
        of_exact=lambda exact: _share(exact.welfare, exact.payment),
        stored=Stored.COLUMN, format="{:.0%}", always=True,
    ),
    Column(
        "transfer_volume", "transfers", "transfer volume", "the money that agents pay each other in an episode, gross",
        _mean("transfer_volume"), stored=Stored.VALUE,
    ),
    Column(
        "taxes", "taxes", "taxes", "what the principal takes from the agents in an episode; utility does not count it",
        lambda run: run.sum_over_agents("tax"),
    ),
    Column(
        "shaping", "shaping", "shaping", "what shaping adds to what agents learn from in an episode; no money moves",
        lambda run: run.sum_over_agents("shaping"),
    ),
    Column(
        "equality", "equality", "equality", "1 - the Gini coefficient of the agents' returns",
        _mean("equality"), stored=Stored.COLUMN,
    ),
    Column(
        "compliance", "compliance", "compliance", "the fraction of actions that follow the recommendation",
        _mean("compliance"), stored=Stored.COLUMN, format="{:.0%}",
    ),
    Column(
        "principal_return", "principal return", "principal return",
        "what the principal earns before it pays, where it has a return of its own",
        _mean("principal_return"), of_exact=lambda exact: exact.principal_return, after="principal_payment",
    ),
    Column(
        "acceptance", "acceptance", "acceptance", "the fraction of episodes in which the agents agreed to a contract",
        _mean("terms_held"), format="{:.0%}", joins="compliance",
    ),
    Column(
        "utility", "utility", "utility",
        f"welfare / {ALPHA:g} - payment, or, where the principal has a return of its own, that return - payment",
        of_row=_utility, of_exact=lambda exact: exact.utility(ALPHA), stored=Stored.NEVER, always=True,
    ),
    Column(
        "states_right", "accuracy", "action accuracy vs. SPE",
        "the fraction of states in which the agent acts as under the subgame-perfect principal",
        lambda run: run.recorded.get("states_right"), format="{:.1%}",
    ),
    Column(
        "followed_states_right", "acc. obed.", "action accuracy vs. SPE (obedient)",
        "the same of an agent that obeys the recommendations",
        lambda run: run.recorded.get("followed_states_right"), format="{:.1%}",
    ),
    Column(
        "best_states_right", "acc. BR", "action accuracy vs. SPE (best response)",
        "the same of an agent that plays its best response to the contracts",
        lambda run: run.recorded.get("best_states_right"), format="{:.1%}",
    ),
    Column(
        "exploited_income", "exploit", "income by exploiting",
        "what agents that learn while the others follow get in an episode, together, above what following too gives",
        lambda run: run.recorded.get("exploited_income"),
    ),
    Column(
        "followed_welfare", "W obed.", "welfare (obedient)", "if every agent obeys the recommendations",
        _obedient(lambda followed: followed.welfare), section=Section.AUDIT,
    ),
    Column(
        "followed_payment", "P obed.", "payment (obedient)", "if every agent obeys the recommendations",
        _obedient(lambda followed: followed.payment), section=Section.AUDIT,
    ),
    Column(
        "followed_gain_now", "one-shot", "max one-shot deviation gain",
        "the most that any agent gains by deviating in one step, in any reachable state, if all obey otherwise",
        _obedient(lambda followed: max(followed.gain_now)), section=Section.AUDIT,
    ),
    Column(
        "followed_gain", "expl. obed.", "exploitability (obedient)",
        "the most that any agent gains by a best response to the others' obedience, on average over the starts",
        _obedient(lambda followed: max(followed.gain)), section=Section.AUDIT,
    ),
    Column(
        "exploited_gain", "expl. found", "gain by exploiting",
        "what such agents gain in value; one that is alone gains the exploitability (obedient) at most",
        _audited(lambda audit: audit.exploited_gain), section=Section.AUDIT,
    ),
    Column(
        "spe_ratio", "BR obed.", "best-response ratio (others obedient)",
        "the agents' value of best responses divided by that of obeying",
        _audited(lambda audit: audit.spe_ratio), section=Section.AUDIT,
    ),
    Column(
        "ic_ratio", "BR ratio", "best-response ratio (others as learned)",
        "the same while the others act as they learned",
        _audited(lambda audit: audit.ic_ratio), section=Section.AUDIT,
    ),
    Column(
        "learned_gain", "expl.", "exploitability (learned)",
        "the most that any agent gains by a best response to what the others learned",
        _audited(lambda audit: max(audit.learned.gain)), section=Section.AUDIT,
    ),
    Column(
        "learned_gain_share", "expl. %", "relative exploitability (learned)",
        f"the largest such gain as a share of the agent's value, above {CONVERGED:.0%} of which the agents have not "
        "converged; empty where they act differently in symmetric states",
        _audited(_relative_gain), section=Section.AUDIT, format="{:.1%}",
    ),
    Column(
        "deviation_regret", "dev. regret", "deviation regret",
        "what the actions of an evaluated episode lose, step by step, to best responses",
        _deviation_regret, section=Section.AUDIT, stored=Stored.COLUMN,
    ),
    Column(
        "worst_welfare", "W worst", "welfare, worst equilibrium found", "of the game under the mechanism",
        _audited(_worst_welfare), section=Section.AUDIT,
    ),
    Column(
        "welfare_regret_spe", "gap SPE", "welfare gap to SPE",
        "the welfare under the subgame-perfect principal less the welfare evaluated",
        _distance("welfare_regret_spe"), section=Section.DISTANCE, format="{:+.2f}",
    ),
    Column(
        "payment_regret_spe", "over SPE", "overpayment vs. SPE",
        "the payment evaluated less that of the subgame-perfect principal",
        _distance("payment_regret_spe"), section=Section.DISTANCE, format="{:+.2f}",
    ),
    Column(
        "welfare_regret_best_rate", "gap lin.", "welfare gap to the best linear contract",
        "the welfare under that contract less the welfare evaluated",
        _distance("welfare_regret_best_rate"), section=Section.DISTANCE, format="{:+.2f}",
    ),
    Column(
        "payment_regret_best_rate", "over lin.", "overpayment vs. the best linear contract",
        "the payment evaluated less that of that contract",
        _distance("payment_regret_best_rate"), section=Section.DISTANCE, format="{:+.2f}",
    ),
)  # fmt: skip
COLUMNS = {column.name: column for column in _ENTRIES}  # by name, in the order of text tables and of JSON
