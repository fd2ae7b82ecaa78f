"""`paymaster solve`: a game's exact solutions, as text or as JSON, and their policies in a folder."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import TaskID, TaskProgressColumn, TimeElapsedColumn, TimeRemainingColumn

from ...core.config import UsageError
from ...envs import make
from ...envs.game import Game, hides_actions, values_its_own
from ...equilibria.principal.linear_contracts import LinearContract
from ...equilibria.principal.meta_algorithm import Round, rounds
from ...equilibria.solve import Solution, StageProgress, favouring, solve_all, summarised, summary
from ...equilibria.tolerances import WELFARE_TIE
from .. import files
from ..measures.exact_solutions import ALPHA, CONTINGENT, HIGHEST, NAMES, PRINCIPAL, Exact, solutions
from ..provenance import command
from ..reports.text_table import Rows, columns
from ..runs.progress import progress_bars
from ..runs.solution import save_solution
from ..specs.overrides import parse_settings
from .solve_matrix import solved_matrix

PATIENCE = 2.0  # seconds after which a bar is shown
EVERY = 60.0  # seconds between lines of progress where there is no terminal
NAMED = {  # the rules whose solutions may need a note, with the names of their rows
    "highest": HIGHEST,
    "lowest": "selfish equilibrium, lowest",
    "principal": PRINCIPAL,
    "dominant": "principal, dominant strategies",
    "contingent": CONTINGENT,
}


def solved(
    id: str, settings: Sequence[str] = (), *, alpha: float = ALPHA, discount: float | None = None, favour: float = 0.0,
    as_json: bool = False, iterations: bool = False, out: Path | None = None,
) -> str:  # fmt: skip
    """The exact solutions of the game `id` as text or as JSON, with the `iterations` of the meta-algorithm on request.

    An `id` that ends with .csv is a table of payoffs.

    Writes the policies to the folder `out`, if given. Raises UsageError for a game that has no table, for options that
    exclude each other, and where `out` cannot be written.
    """
    if id.endswith(".csv"):
        if settings or discount is not None or favour or iterations or out is not None:
            raise UsageError(f"{id}: a table of payoffs has --alpha and --json alone; leave the other options out")
        return solved_matrix(Path(id), alpha, as_json=as_json)
    game = make(id, **parse_settings(settings))
    if iterations and discount is not None:
        raise UsageError(f"--rounds is for the finite horizon (got --discount {discount:g} too): leave out one of them")
    if values_its_own(game):
        _check_hidden(id, alpha=alpha, favour=favour, for_seen_actions=iterations or out is not None)
        return _solved_hidden(id, game, discount, as_json=as_json)
    if out is not None:
        files.check(out)
    with _bar() as on_progress:
        found = solve_all(game, alpha, discount, favour=favour, on_progress=on_progress)
    about = summarised(game, alpha, discount, found, favour=favour)
    made = list(rounds(favouring(found.table, favour), game.horizon, alpha=alpha)) if iterations else []
    if iterations:
        about["rounds"] = [{"changed": each.changed, "welfare": each.welfare, "payment": each.payment} for each in made]
    if out is not None:
        save_solution(out, id, game, about, found.solutions, command())
    if as_json:
        return json.dumps(about, indent=1)
    lines = [f"{_head(id, found.table.states, game, discount)}; {_principal(alpha, favour)}\n"]
    lines += [columns(_rows(solutions(about), alpha)), "", *_notes(found.solutions)]
    lines += [f"Best linear contract found: {_rates(game.verifiable, found.linear_contract)}"]
    lines += [f"\nThe meta-algorithm:\n{columns(_iterations(made))}"] if iterations else []
    lines += [f"\nWritten to {out}; paymaster render {out} --out episode.gif plays the principal"] if out else []
    return "\n".join(lines)


def _head(id: str, states: int, game: Game, discount: float | None) -> str:
    kind = "finite horizon, undiscounted" if discount is None else f"stationary at discount {discount:g}"
    return f"{id}: {states:,} states, horizon {game.horizon}; {kind}"


def _principal(alpha: float, favour: float) -> str:
    return f"alpha {alpha:g}" + (f"; favour {favour:g}" if favour else "")


def _rows(found: Iterable[Exact], alpha: float) -> Rows:
    rows = [["exact solution", "welfare", "payment", "share", "utility"]]
    for each in found:
        if each.welfare is None:
            rows.append([each.label, "-", "-", "-", "-"])
            continue
        paid = each.payment or 0.0
        share = "" if each.payment is None else f"{paid / each.welfare:.1%}" if each.welfare > 0 else "-"
        payment = "" if each.payment is None else f"{paid:.3f}"
        utility = f"{each.welfare / alpha - paid:.2f}"
        rows.append([each.label, f"{each.welfare:.3f}", payment, share, utility])
    return rows


def _notes(found: Mapping[str, Solution]) -> Iterator[str]:
    """A line for each solution with mixed strategies, without a certain or unique equilibrium, or convergence."""
    for rule, name in NAMED.items():
        each = found[rule]
        mixed, gain = len(each.mixed.cells), float(each.gains.max())
        does = "the principal abstains and agents mix" if rule == "principal" else "agents play mixed strategies"
        notes = [f"{does} in {mixed:,} stage games"] if mixed else []
        notes += [f"{each.abstains:.3g} of them in an episode, on average"] if rule == "principal" and mixed else []
        notes += [f"no equilibrium was found in {each.unresolved:,} stage games"] if each.unresolved else []
        notes += [f"a best response gains {gain:.2g}"] if gain > WELFARE_TIE else []
        notes += [] if each.converged else ["value iteration did not converge"]
        notes += [f"other fixed points of its rule: {_fixed_points(each)}"] if len(each.others) else []
        if notes:
            yield f"{name}: {'; '.join(notes)}"


def _fixed_points(found: Solution) -> str:
    return ", ".join(f"welfare {welfare:.3f} for {payment:.3f}" for welfare, payment in found.others)


def _rates(facts: Sequence[str], found: LinearContract | None) -> str:
    if found is None:
        return "none, since the agents' answer to no rates is an equilibrium"
    each = [f"{rate:.4g} for each {fact}" for fact, rate in zip(facts, found.rates, strict=True)]
    return ", ".join(each) or "none, since the game has no verifiable facts"


def _iterations(made: Iterable[Round]) -> Rows:
    rows = [["iteration", "decisions changed", "welfare", "payment"]]
    return rows + [
        [f"{each.number}", f"{each.changed:,}", f"{each.welfare:.3f}", f"{each.payment:.3f}"] for each in made
    ]


def _check_hidden(id: str, *, alpha: float, favour: float, for_seen_actions: bool) -> None:
    """Raise UsageError for options that have no meaning in a game with hidden actions or a hidden state."""
    if for_seen_actions:
        raise UsageError(f"--rounds and --out are for games where everybody sees everything; {id} is not one")
    if favour:
        raise UsageError(f"--favour {favour:g} is for a principal of several agents; {id} has one")
    if alpha != ALPHA:
        raise UsageError(f"--alpha {alpha:g} is for a principal who values welfare; that of {id} has its own return")


def _solved_hidden(id: str, game: Game, discount: float | None, *, as_json: bool) -> str:
    """The solutions of a game with hidden actions or a hidden state."""
    found = summary(game, discount=discount)
    if as_json:
        return json.dumps(found, indent=1)
    head, rows = _head(id, found["states"], game, None), found.get("hidden_actions") or found["hidden_state"]
    said = "the principal alone sees the state"
    if hides_actions(game):
        said = "actions are hidden, utility is the principal's return - payment"
    return f"{head}; {said}\n\n{columns(_hidden_rows(found['action_names'], rows))}"


def _hidden_rows(actions: Sequence[str], found: Mapping[str, Mapping[str, Any]]) -> Rows:
    """A row for each solution: returns before payments, and how often each action is chosen.

    That is the share of states where actions are hidden, and the chance where the state is.
    """
    rows = [["exact solution", "agent", "principal", "payment", "utility", *actions]]
    for name, row in found.items():
        paid = row["payment"]
        money = ["", ""] if paid is None else [f"{paid:.3f}", f"{row['principal_return'] - paid:.3f}"]
        returns = [f"{row[key]:.3f}" for key in ("agent_return", "principal_return")]
        rows.append([NAMES[name], *returns, *money, *(f"{share:.1%}" for share in row["actions"])])
    return rows


@contextmanager
def _bar() -> Iterator[StageProgress]:
    """A bar for each stage of the solver, after `PATIENCE` seconds; without a terminal a line a minute."""
    console = Console(stderr=True)
    display = progress_bars(console, TaskProgressColumn(), TimeRemainingColumn(), TimeElapsedColumn())
    began, bars, done = time.monotonic(), dict[str, TaskID](), dict[str, float]()
    ended = threading.Event()

    def on_progress(stage: str, share: float) -> None:
        done[stage] = share
        if time.monotonic() - began < PATIENCE or not console.is_terminal:
            return
        display.start()
        if stage not in bars:
            bars[stage] = display.add_task(stage, total=1.0)
        display.update(bars[stage], completed=share)

    def tell() -> None:
        while not ended.wait(EVERY):
            stages = ", ".join(f"{stage} {share:.0%}" for stage, share in list(done.items())) or "beginning"
            minutes = (time.monotonic() - began) / 60.0
            print(f"paymaster: solving for {minutes:.0f} min: {stages}", file=sys.stderr, flush=True)

    if not console.is_terminal:
        threading.Thread(target=tell, daemon=True).start()
    try:
        yield on_progress
    finally:
        ended.set()
        display.stop()
