"""`paymaster solve`: a game's exact solutions, told to people or as JSON, and kept where they are asked to be."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ...core.config import UsageError
from ...envs import make
from ...envs.game import Game, hides_actions
from ...equilibria.meta_algorithm import rounds
from ...equilibria.solve import StageProgress, favouring, solve_all, summarised, summary
from ...equilibria.tolerances import WELFARE_TIE
from .. import files
from ..measures.exact_solutions import ALPHA, NAMES, PRINCIPAL, solutions
from ..provenance import command
from ..reports.text_table import columns
from ..runs.solution import save_solution
from ..specs.overrides import parse_settings

PATIENCE = 2.0  # seconds after which a bar is shown


class Request(NamedTuple):
    """What is asked of the solver."""

    id: str
    settings: list[str]
    alpha: float
    discount: float | None
    favour: float
    as_json: bool
    rounds: bool  # whether the meta-algorithm's rounds are told too
    out: Path | None


def solved(request: Request) -> str:
    """The exact solutions of a game, for people or as JSON.

    Raises UsageError for a game that has no table, and where `out` may not be written.
    """
    game = make(request.id, **parse_settings(request.settings))
    if request.rounds and request.discount is not None:
        raise UsageError(
            f"--rounds tells of the finite horizon (got --discount {request.discount:g}): leave one of them out"
        )
    if hides_actions(game):
        return _hidden(game, request)
    if request.out is not None:
        files.check(request.out)
    with _bar() as on_progress:
        found = solve_all(game, request.alpha, request.discount, favour=request.favour, on_progress=on_progress)
    words = summarised(game, request.alpha, request.discount, found, favour=request.favour)
    if request.rounds:
        words["rounds"] = [
            {"changed": each.changed, "welfare": each.welfare, "payment": each.payment}
            for each in rounds(favouring(found.table, request.favour), game.horizon, alpha=request.alpha)
        ]
    if request.out is not None:
        save_solution(request.out, request.id, game, words, found.solutions, command())
    return json.dumps(words, indent=1) if request.as_json else "\n".join(_lines(request, words))


def _lines(request: Request, words: dict[str, Any]) -> Iterator[str]:
    discount, alpha = request.discount, request.alpha
    kind = f"stationary at discount {discount:g}" if discount is not None else "finite horizon, undiscounted"
    favour = f"; favour {request.favour:g}" if request.favour else ""
    yield f"{request.id}: {words['states']:,} states, horizon {words['horizon']}; {kind}; alpha {alpha:g}{favour}\n"
    rows = [["exact solution", "welfare", "payment", "share", "utility"]]
    for each in solutions(words):
        paid = each.payment or 0.0
        share = "" if each.payment is None else f"{paid / each.welfare:.1%}" if each.welfare > 0 else "-"
        payment = "" if each.payment is None else f"{paid:.3f}"
        utility = f"{each.welfare / alpha - paid:.2f}"
        rows.append([each.label, f"{each.welfare:.3f}", payment, share, utility])
    yield columns(rows)
    yield "".join(f"\n{note}" for note in _stages(words))
    yield f"Best linear contract, by search: {_rates(words['best_rate']['rates'])}"
    if request.rounds:
        yield f"\nThe meta-algorithm:\n{columns(_rounds(words['rounds']))}"
    if request.out is not None:
        yield f"\nWritten to {request.out}; paymaster render {request.out} --out episode.gif plays the principal"


def _stages(words: dict[str, Any]) -> Iterator[str]:
    """Notes on solutions: stages where agents mix or that are unresolved, deviation gains, and convergence."""
    rows = {f"selfish equilibrium, {rule}": row for rule, row in words["selfish"].items()}
    rows |= {PRINCIPAL: words["principal"], "principal, dominant strategies": words["principal_dominant"]}
    for name, row in rows.items():
        notes = [f"agents mix in {row['mixed']:,} stages"] if row["mixed"] else []
        notes += [f"no equilibrium was found in {row['unresolved']:,}"] if row["unresolved"] else []
        notes += [f"a best response gains {row['gain']:.2g}"] if row["gain"] > WELFARE_TIE else []
        notes += [] if row["settled"] else ["value iteration did not converge"]
        if notes:
            yield f"{name}: {'; '.join(notes)}"


def _rates(rates: dict[str, float]) -> str:
    return (
        ", ".join(f"{rate:.4g} for each {name}" for name, rate in rates.items()) or "none, since nothing is verifiable"
    )


def _rounds(rounds: list[dict[str, Any]]) -> list[list[str]]:
    rows = [["round", "decisions changed", "welfare", "payment"]]
    for number, each in enumerate(rounds, 1):
        rows.append([f"{number}", f"{each['changed']:,}", f"{each['welfare']:.3f}", f"{each['payment']:.3f}"])
    return rows


def _hidden(game: Game, request: Request) -> str:
    """The solutions of a game that hides what agents do."""
    if request.rounds or request.out is not None:
        raise UsageError(f"--rounds and --out are for games whose actions are seen; those of {request.id} are hidden")
    if request.favour:
        raise UsageError(f"--favour {request.favour:g} is for a principal of several agents; {request.id} has one")
    if request.alpha != ALPHA:
        raise UsageError(
            f"--alpha {request.alpha:g} is for a principal who values welfare; that of {request.id} has its own return"
        )
    found = summary(game, discount=request.discount)
    if request.as_json:
        return json.dumps(found, indent=1)
    return f"{_hidden_head(request.id, found)}\n\n{columns(_hidden_rows(found))}"


def _hidden_head(id: str, found: dict[str, Any]) -> str:
    return (
        f"{id}: {found['states']:,} states, horizon {found['horizon']}; finite horizon, undiscounted; "
        "actions are hidden, utility is the principal's return - payment"
    )


def _hidden_rows(found: dict[str, Any]) -> list[list[str]]:
    """A row for each solution: returns before any payment, and the share of states by which action is best there."""
    rows = [["exact solution", "agent", "principal", "payment", "utility", *(f"{a}" for a in found["action_names"])]]
    for name, row in found["hidden_actions"].items():
        paid = row["payment"]
        money = ["", ""] if paid is None else [f"{paid:.3f}", f"{row['principal_return'] - paid:.3f}"]
        returns = [f"{row[key]:.3f}" for key in ("agent_return", "principal_return")]
        rows.append([NAMES[name], *returns, *money, *(f"{share:.1%}" for share in row["actions"])])
    return rows


@contextmanager
def _bar() -> Iterator[StageProgress]:
    """A bar on a terminal, once the solver has taken a while."""
    console = Console(stderr=True)
    display = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    began, bars = time.monotonic(), {}

    def on_progress(stage: str, share: float) -> None:
        if time.monotonic() - began < PATIENCE:
            return
        display.start()
        if stage not in bars:
            bars[stage] = display.add_task(stage, total=1.0)
        display.update(bars[stage], completed=share)

    try:
        yield on_progress
    finally:
        display.stop()
