"""A run judged by exact arithmetic: what its contract, and what its agents learned, come to in the game's own table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import FiniteFloat, ValidationError

from ...contracts.loop import AgentView, Principal, Simulation
from ...contracts.mechanism import Decisions, Mechanism
from ...core.config import UsageError
from ...envs.game import Game
from ...equilibria.tolerances import EPSILON_EQUILIBRIUM
from ..files import whole_file
from ..specs.resolve import Resolved
from ..specs.spec import Model, faults
from .exact_solutions import ALPHA, DISCOUNT, affordable
from .solution_cache import remembered

if TYPE_CHECKING:
    from ...equilibria.induced_game import BestResponses, Equilibrium, InducedGame

AUDIT = "audit.json"


class Money(Model):
    """Over the undiscounted horizon."""

    welfare: FiniteFloat
    payment: FiniteFloat


class Judged(Money):
    """A policy of the agents in the game under their mechanism."""

    gain_now: list[FiniteFloat]
    """The most that each agent adds to its value by another action in one step, in any state that can be reached."""
    gain: list[FiniteFloat]
    """What each agent's best policy adds to its value at the start, while the others keep to theirs."""


class Found(Money):
    """An equilibrium of the game under its mechanism."""

    found: str
    """By which rule of selection, or from where best replies in turn led to it."""
    gain: FiniteFloat
    """What the best deviation of any agent adds to its value."""
    holds: bool
    """Whether that is next to nothing; else it is no equilibrium."""


class Audit(Model):
    """What audit.json holds. Values and gains are discounted where there is a discount, money never."""

    run: str
    states: int
    horizon: int
    discount: FiniteFloat | None
    """The learners', in whose game that never ends agents reply; None where the horizon ends the game."""
    followed: Judged | None
    """Where an action is recommended: if everyone follows."""
    spe_ratio: FiniteFloat | None
    """The agents' values of their best replies / of following, while the others follow."""
    ic_ratio: FiniteFloat | None
    """The same while the others do what they learned in this run."""
    learned: Judged
    """What the agents learned, played greedily."""
    agreement: FiniteFloat
    """The share of evaluated actions that are the same in the state that stands for all symmetric ones."""
    deviation_regret: FiniteFloat
    """Mean over the evaluated episodes of what the agents' actions lose, step by step, to their best replies."""
    equilibria: list[Found]
    worst: str | None
    """Which of the equilibria that hold has the lowest welfare."""
    benchmarks: dict[str, Money]
    """spe: the subgame-perfect principal; best_rate: the best linear contract."""
    regrets: dict[str, dict[str, Money]]
    """To each benchmark, if followed and as learned: welfare that is missing, payment that is too much. Not clipped."""


class Exam(NamedTuple):
    """An audit, and the deviation regret of each evaluated episode."""

    audit: Audit
    regrets: np.ndarray  # (E,)


def examine(
    resolved: Resolved, mechanism: Mechanism, principal: Principal | None, policy: Any, keys: np.ndarray
) -> Exam:
    """Audit a run whose evaluated episodes have the `keys` (E,).

    Raises UsageError where the game has no table, the mechanism remembers more than the state, or agents act by chance.
    """
    from ...equilibria import induced_game

    if getattr(policy, "play", "greedy") == "sampled":
        raise UsageError("an audit judges what agents do in each state, and these draw it; play them greedily to audit")
    game, values = resolved.game, resolved.values
    discount = values["settings"].get("discount", DISCOUNT) if game.truncates else None  # some agents do not learn
    judged = induced_game.induce(game, mechanism, principal, discount=None if discount == 1.0 else discount)
    actions = greedy(game, mechanism, judged.decisions, policy)
    reply = induced_game.best_responses(judged, actions)
    regrets, agreement = _replayed(resolved, mechanism, principal, policy, actions, reply, keys)
    learned = _judged(judged, actions, reply)
    followed, spe_ratio, ic_ratio, starts = None, None, None, {"what was learned": actions}
    if judged.decisions is not None:
        recommended = np.asarray(judged.decisions.recommended, np.int64)
        following = induced_game.best_responses(judged, recommended)
        followed = _judged(judged, recommended, following)
        spe_ratio = _ratio(following.kept, following.best)
        ic_ratio = _ratio(*induced_game.obedience(judged, recommended, actions))
        starts = {"what is recommended": recommended, **starts}
    equilibria = [_found(each) for each in induced_game.equilibria(judged, starts)]
    benchmarks = _benchmarks(game, judged.discount)
    policies = {"followed": followed, "learned": learned}
    return Exam(
        Audit(
            run=resolved.folder,
            states=judged.table.states,
            horizon=game.horizon,
            discount=judged.discount,
            followed=followed,
            spe_ratio=spe_ratio,
            ic_ratio=ic_ratio,
            learned=learned,
            agreement=agreement,
            deviation_regret=float(regrets.mean()),
            equilibria=equilibria,
            worst=_worst(equilibria),
            benchmarks=benchmarks,
            regrets={
                name: {kind: regret(money, benchmark) for kind, money in policies.items() if money is not None}
                for name, benchmark in benchmarks.items()
            },
        ),
        regrets,
    )


def regret(money: Money, benchmark: Money) -> Money:
    """Welfare that is missing to the benchmark, and payment that is more than it has."""
    return Money(welfare=benchmark.welfare - money.welfare, payment=money.payment - benchmark.payment)


def write_audit(folder: Path, audit: Audit) -> None:
    """Write audit.json, the one file that may be added to a finished run. Raises UsageError where it cannot be."""
    with whole_file(folder / AUDIT) as partial:
        partial.write_text(audit.model_dump_json(indent=1) + "\n")


def read_audit(folder: Path) -> Audit | None:
    """The audit of a run; None where there is none. Raises UsageError for a damaged one."""
    path = folder / AUDIT
    if not path.exists():
        return None
    try:
        return Audit.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{path} is damaged, audit the run again: {faults(error)}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def greedy(game: Game, mechanism: Mechanism, decisions: Decisions | None, policy: Any) -> np.ndarray:
    """(S, N): what the agents do in every state of the table, given a principal's `decisions` in each."""
    from ...equilibria.table import tabular

    states = tabular(game).representatives()
    keys = np.zeros(tabular(game).states, np.uint64)
    terms, _ = mechanism.offer(mechanism.start(keys), states, decisions)
    return np.asarray(policy(AgentView(game.observe(states), mechanism.view(terms, len(keys)))), np.int64)


def _replayed(
    resolved: Resolved, mechanism: Mechanism, principal: Principal | None, policy: Any,
    actions: np.ndarray, reply: BestResponses, keys: np.ndarray,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Play the evaluated episodes again: the deviation regret (E,) of each, and how often `actions` are what is done.

    At every step each agent loses what its action falls short of its best reply to what the others learned, and the
    agents' losses of all steps add up. In a finite game that is, in expectation, what the best replies gain.
    """
    from ...equilibria.table import tabular
    from ...learning.phases import EVALUATE

    game, count = resolved.game, len(keys)
    loop = Simulation(game, mechanism, count, seed=resolved.spec.seed, stream=EVALUATE, principal=principal)
    order = {int(key): place for place, key in enumerate(loop.keys)}
    if order.keys() != {int(key) for key in keys}:
        raise UsageError("its episodes cannot be played again: another version of Paymaster made the run")
    agents, regrets, same, steps = np.arange(len(game.agents)), np.zeros(count), 0, 0
    while (live := loop.episode == 0).any():
        state, played = tabular(game).index(loop.state), policy(loop.seen)
        step = np.minimum(loop.t, len(reply.lost) - 1)
        lost = reply.lost[step[:, None], state[:, None], agents, played]
        regrets += np.where(live, lost.sum(axis=1), 0.0)
        same += int((played == actions[state])[live].sum())
        steps += int(live.sum())
        loop.step(played)
    return regrets[[order[int(key)] for key in keys]], same / (steps * len(agents))


def _judged(judged: InducedGame, actions: np.ndarray, reply: BestResponses) -> Judged:
    from ...equilibria.induced_game import evaluate

    found = evaluate(judged, actions)
    return Judged(welfare=found.welfare, payment=found.payment, gain_now=reply.now.tolist(), gain=reply.gains.tolist())


def _found(each: Equilibrium) -> Found:
    return Found(
        welfare=each.evaluation.welfare, payment=each.evaluation.payment,
        found=each.found, gain=each.gain, holds=each.gain < EPSILON_EQUILIBRIUM,
    )  # fmt: skip


def _worst(equilibria: list[Found]) -> str | None:
    holding = [each for each in equilibria if each.holds]
    return min(holding, key=lambda each: each.welfare).found if holding else None


def _ratio(kept: np.ndarray, best: np.ndarray) -> float | None:
    """Of the sums over the agents; None where following is worth nothing."""
    return float(best.sum() / kept.sum()) if kept.sum() > 0.0 else None


def _benchmarks(game: Game, discount: float | None) -> dict[str, Money]:
    """The named exact benchmarks that the game has, in the game that the agents are judged in.

    Of the finite horizon where the stationary game takes too long.
    """
    known = remembered(game, ALPHA, discount if affordable(game) else None)
    rows = {"spe": known.get("principal"), "best_rate": known.get("best_rate")}
    return {name: Money(welfare=row["welfare"], payment=row["payment"]) for name, row in rows.items() if row}
