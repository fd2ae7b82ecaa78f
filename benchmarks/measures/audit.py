"""The audit of a run: its contract and its learned policies, judged exactly in the table of the game's states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import FiniteFloat, ValidationError

from ...contracts.loop import Act, AgentView, Minds, Principal, Simulation
from ...contracts.mechanism import Decisions, Mechanism
from ...core.config import UsageError
from ...envs.game import Game
from ...equilibria.tolerances import EPSILON_EQUILIBRIUM
from ...learning.role import EVALUATE
from ..files import atomic_file
from ..specs.resolve import Resolved
from ..specs.spec import Model, faults
from .exact_solutions import ALPHA, DISCOUNT, is_cheap
from .solution_cache import cached_summary

if TYPE_CHECKING:
    from ...equilibria.induced_game import BestResponses, Equilibrium, InducedGame

AUDIT = "audit.json"


class Money(Model):
    """Sums over an episode, undiscounted."""

    welfare: FiniteFloat
    payment: FiniteFloat


class Judged(Money):
    """A joint policy of the agents in the game under their mechanism."""

    gain_now: list[FiniteFloat]
    """The most that each agent gains by deviating in one step, in any reachable state."""
    gain: list[FiniteFloat]
    """What each agent's best response gains at the start, while the others keep to their policies."""
    value: list[FiniteFloat] | None = None
    """What each agent's policy is worth at the start, mechanism included; None in audits from before it was kept."""

    @property
    def relative_gain(self) -> float | None:
        """The largest gain of any agent as a share of its value, or of its best response's where that is the larger."""
        if self.value is None:
            return None
        sizes = [max(abs(value), abs(value + gain)) for value, gain in zip(self.value, self.gain, strict=True)]
        return max(gain / size if size else 0.0 for gain, size in zip(self.gain, sizes, strict=True))


class Found(Money):
    """An equilibrium of the game under its mechanism."""

    found: str
    """The rule of selection that found it, or where the best responses in turn began that led to it."""
    gain: FiniteFloat
    """The most that any agent gains by deviating from it."""
    holds: bool
    """Whether that gain is below the tolerance; otherwise it is no equilibrium."""


class Audit(Model):
    """What audit.json holds. Values and gains are discounted where there is a discount; money never is."""

    run: str
    states: int
    horizon: int
    discount: FiniteFloat | None
    """The learners' discount, at which agents respond in the game that never ends; None where the horizon ends it."""
    followed: Judged | None
    """If every agent obeys the recommendations; None where there are none."""
    spe_ratio: FiniteFloat | None
    """The agents' value of best responses divided by that of obeying, while the others obey."""
    ic_ratio: FiniteFloat | None
    """The same while the others act as they learned in this run."""
    learned: Judged
    """What the agents learned, played greedily."""
    agreement: FiniteFloat
    """The share of evaluated actions that are the same in the state that represents all symmetric ones."""
    deviation_regret: FiniteFloat
    """The mean over the evaluated episodes of what the agents' actions lose, step by step, to best responses."""
    equilibria: list[Found]
    worst: str | None
    """The equilibrium of lowest welfare among those that hold, as its `found`."""
    exploited_gain: FiniteFloat | None = None
    """What the agents that learned while others follow gain together, by not following; None where there are none."""
    benchmarks: dict[str, Money]
    """spe: the subgame-perfect principal; best_rate: the best linear contract."""
    regrets: dict[str, dict[str, Money]]
    """The welfare gap to each benchmark and the overpayment, if followed and as learned. Not clipped."""


class Exam(NamedTuple):
    """An audit, and the deviation regret of each evaluated episode."""

    audit: Audit
    regrets: np.ndarray  # (E,)


def examine(
    resolved: Resolved, mechanism: Mechanism, principal: Principal | None, policy: Act, keys: np.ndarray
) -> Exam:
    """Audit a run whose evaluated episodes have the `keys` (E,).

    Raises UsageError where the game has no table, where the mechanism remembers more than the state, and where agents
    draw their actions.
    """
    from ...equilibria import induced_game

    game = resolved.game
    judged = induced_game.induce(game, mechanism, principal, discount=_discount(resolved))
    actions = greedy(game, mechanism, judged.decisions, policy)
    reply = induced_game.best_responses(judged, actions)
    replayed = _replayed(resolved, mechanism, principal, policy, actions, reply, keys)
    learned, obedience = _judged(judged, actions, reply), _obedience(judged, actions)
    equilibria = _equilibria(judged, actions)
    benchmarks = _benchmarks(game, judged.discount)
    audit = Audit(
        run=resolved.folder,
        states=judged.table.states,
        horizon=game.horizon,
        discount=judged.discount,
        followed=obedience.followed,
        spe_ratio=obedience.spe_ratio,
        ic_ratio=obedience.ic_ratio,
        learned=learned,
        agreement=replayed.agreement,
        deviation_regret=float(replayed.regrets.mean()),
        equilibria=equilibria,
        worst=_worst(equilibria),
        exploited_gain=_exploited(getattr(resolved.agents, "exploiters", ()), learned, obedience.followed),
        benchmarks=benchmarks,
        regrets={name: _regrets(obedience.followed, learned, each) for name, each in benchmarks.items()},
    )
    return Exam(audit, replayed.regrets)


def regret(money: Money, benchmark: Money) -> Money:
    """The welfare gap to the benchmark, and the overpayment in comparison with it."""
    return Money(welfare=benchmark.welfare - money.welfare, payment=money.payment - benchmark.payment)


def write_audit(folder: Path, audit: Audit) -> None:
    """Write audit.json, the one file that may be added to a finished run. Raises UsageError where it cannot be."""
    with atomic_file(folder / AUDIT) as partial:
        partial.write_text(audit.model_dump_json(indent=1) + "\n")


def read_audit(folder: Path) -> Audit | None:
    """The audit of a run; None where there is none. Raises UsageError for a damaged audit."""
    path = folder / AUDIT
    if not path.exists():
        return None
    try:
        return Audit.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{path} is damaged, audit the run again: {faults(error)}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def greedy(game: Game, mechanism: Mechanism, decisions: Decisions | None, policy: Act) -> np.ndarray:
    """(S, N): what the agents do in every state of the table, given the principal's `decisions` there.

    Raises UsageError where they draw it, that is where the draw changes what they do, and where it depends on what they
    remember.
    """
    if Minds.of(policy).remember:
        raise UsageError(
            "an audit judges what agents do in each state, and these go by what they remember of an episode"
        )
    from ...equilibria.tables.table import tabular

    states = tabular(game).representatives()
    keys = np.zeros(tabular(game).states, np.uint64)
    terms, _ = mechanism.offer(mechanism.start(keys), states, decisions)
    seen = AgentView(game.observe(states), mechanism.view(terms, len(keys)))
    low, high = (
        np.asarray(policy(seen._replace(noise=np.full((len(keys), len(game.agents)), draw))), np.int64)
        for draw in (0.0, np.nextafter(1.0, 0.0))
    )
    if not np.array_equal(low, high):
        raise UsageError("an audit judges what agents do in each state, and these draw it; play them greedily to audit")
    return low


def _discount(resolved: Resolved) -> float | None:
    """The learners' discount; None where there is none or the horizon ends the game."""
    if not resolved.game.truncates:
        return None
    discount = getattr(resolved.agents, "discount", DISCOUNT)  # some agents do not learn
    return None if discount == 1.0 else discount


class Obedience(NamedTuple):
    """What following the recommendations comes to; all None where nothing is recommended."""

    followed: Judged | None
    spe_ratio: float | None
    ic_ratio: float | None


def _obedience(judged: InducedGame, actions: np.ndarray) -> Obedience:
    """Judge obedience, also while the others act as they learned, by `actions` (S, N)."""
    from ...equilibria import induced_game

    recommended = _recommended(judged)
    if recommended is None:
        return Obedience(None, None, None)
    following = induced_game.best_responses(judged, recommended)
    return Obedience(
        _judged(judged, recommended, following),
        _ratio(following.kept, following.best),
        _ratio(*induced_game.obedience(judged, recommended, actions)),
    )


def _recommended(judged: InducedGame) -> np.ndarray | None:
    """(S, N): the recommended actions, where there are any."""
    decided = judged.decisions
    if decided is None or (decided.recommended < 0).any():
        return None
    return np.asarray(decided.recommended, np.int64)


def _exploited(exploiters: tuple[int, ...], learned: Judged, followed: Judged | None) -> float | None:
    """What the `exploiters` gain in value, while the others follow, by what they learned."""
    if not exploiters or followed is None or learned.value is None or followed.value is None:
        return None
    return sum(learned.value[each] - followed.value[each] for each in exploiters)


def _equilibria(judged: InducedGame, actions: np.ndarray) -> list[Found]:
    """The equilibria found, also by best responses in turn from what is recommended and from what was learned."""
    from ...equilibria import induced_game

    recommended = _recommended(judged)
    starts = {} if recommended is None else {"what is recommended": recommended}
    return [_found(each) for each in induced_game.equilibria(judged, {**starts, "what was learned": actions})]


def _regrets(followed: Judged | None, learned: Judged, benchmark: Money) -> dict[str, Money]:
    policies = {"followed": followed, "learned": learned}
    return {kind: regret(money, benchmark) for kind, money in policies.items() if money is not None}


class Replayed(NamedTuple):
    """The evaluated episodes, played again."""

    regrets: np.ndarray  # (E,) the deviation regret of each
    agreement: float  # the share of actions that are those of the state's representative


def _replayed(
    resolved: Resolved, mechanism: Mechanism, principal: Principal | None, policy: Act,
    actions: np.ndarray, reply: BestResponses, keys: np.ndarray,
) -> Replayed:  # fmt: skip
    """Play the episodes with the `keys` (E,) again.

    At every step each agent loses the amount by which its action falls short of its best response to what the others
    learned, and the losses of all agents and steps add up. In a finite game the sum is, in expectation, what the best
    responses gain.
    """
    from ...equilibria.tables.table import tabular

    game, count = resolved.game, len(keys)
    loop = Simulation(game, mechanism, count, seed=resolved.spec.seed, stream=EVALUATE.stream, principal=principal)
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
    return Replayed(regrets[[order[int(key)] for key in keys]], same / (steps * len(agents)))


def _judged(judged: InducedGame, actions: np.ndarray, reply: BestResponses) -> Judged:
    from ...equilibria.induced_game import evaluate

    found = evaluate(judged, actions)
    return Judged(
        welfare=found.welfare, payment=found.payment,
        gain_now=reply.now.tolist(), gain=reply.gains.tolist(), value=reply.kept.tolist(),
    )  # fmt: skip


def _found(each: Equilibrium) -> Found:
    return Found(
        welfare=each.evaluation.welfare, payment=each.evaluation.payment,
        found=each.found, gain=each.gain, holds=each.gain < EPSILON_EQUILIBRIUM,
    )  # fmt: skip


def _worst(equilibria: list[Found]) -> str | None:
    holding = [each for each in equilibria if each.holds]
    return min(holding, key=lambda each: each.welfare).found if holding else None


def _ratio(kept: np.ndarray, best: np.ndarray) -> float | None:
    """The ratio of the sums over the agents; None where the value of what is kept to is not positive."""
    return float(best.sum() / kept.sum()) if kept.sum() > 0.0 else None


def _benchmarks(game: Game, discount: float | None) -> dict[str, Money]:
    """The exact benchmarks that the game has, at the `discount` at which the agents are judged.

    They are those of the finite horizon where the stationary game takes too long to solve. Approximate ones are none.
    """
    known = cached_summary(game, ALPHA, discount if is_cheap(game) else None)
    rows = {"spe": known.get("principal"), "best_rate": known.get("best_rate")}
    return {
        name: Money(welfare=row["welfare"], payment=row["payment"])
        for name, row in rows.items()
        if row and not row.get("approximate", False)
    }
