"""What is known exactly of a game, as rows to stand above what was learned."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

from ..envs import make
from ..envs.config import UsageError, plain
from ..envs.core import Game
from .folders import whole_file
from .overrides import parse_settings
from .plaintext import columns
from .spec import digest

ALPHA = 0.1  # Ivanov et al. 2024: the principal maximises welfare / alpha - payments
DISCOUNT = 0.99  # the learners'
SAME = 1e-6  # up to which two welfares are one
NEAR = 0.01  # what no single deviation may gain in what counts as an equilibrium
NOT_SETTLED = " (did not settle)"
FINITE = "finite horizon"
OPTIMUM, HIGHEST = "social optimum", "selfish equilibrium, highest"


class Exact(NamedTuple):
    """One exact solution of a game: its welfare, and what a principal pays for it."""

    name: str
    kind: str  # FINITE, or the stationary game at a discount
    welfare: float
    payment: float | None  # None where there is no principal
    settled: bool = True  # whether its rule came to rest, or what it came to is an equilibrium all the same


def exact(game: Game) -> list[Exact]:
    """The exact solutions of a game, none where it has no table of states.

    Where the horizon cuts the episode, first those of the stationary game at the learners' discount, evaluated over
    the horizon, since that is what learners are given; then those of the finite horizon, undiscounted.
    """
    discounts = [DISCOUNT, None] if game.truncates else [None]
    try:
        return [each for discount in discounts for each in solutions(remembered(game, ALPHA, discount))]
    except UsageError:
        return []


def remembered(game: Game, alpha: float, discount: float | None) -> dict[str, Any]:
    """The solver's summary, kept in the user's cache folder until a rule or the code that it rests on changes.

    Raises UsageError for a game that has no table.
    """
    from ..contracts.equilibrium import summary

    about = [type(game).__name__, plain(game), alpha, discount, _code()]
    path = _cache() / f"exact-{digest(about)}.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        found = summary(game, alpha=alpha, discount=discount)
    with suppress(OSError, UsageError):  # it will be solved again
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            partial.write_text(json.dumps(found))
    return found


def solutions(summary: dict[str, Any]) -> list[Exact]:
    """The solutions that a summary of the solver holds; one selfish equilibrium where the two are the same."""
    kind = FINITE if summary["discount"] is None else f"discount {summary['discount']:g}"
    rows = {
        OPTIMUM: summary["cooperative"],
        HIGHEST: summary["selfish"]["highest"],
        "selfish equilibrium, lowest": summary["selfish"]["lowest"],
        "principal, subgame-perfect": summary["principal"],
        "principal, dominant strategies": summary["principal_dominant"],
    }
    if isclose(rows[HIGHEST]["welfare"], rows["selfish equilibrium, lowest"]["welfare"], abs_tol=SAME):
        del rows["selfish equilibrium, lowest"]
    return [Exact(name, kind, row["welfare"], row.get("payment"), _settled(row)) for name, row in rows.items()]


def _settled(row: dict[str, Any]) -> bool:
    return bool(row.get("settled", True) or row.get("gain", NEAR) < NEAR)


def solved(id: str, settings: list[str], *, alpha: float, discount: float | None, as_json: bool) -> str:
    """The exact solutions of the game `id`, for people or as JSON. Raises UsageError for a game that has no table."""
    from ..contracts.equilibrium import summary

    found = summary(make(id, **parse_settings(settings)), alpha=alpha, discount=discount)
    if as_json:
        return json.dumps(found, indent=1)
    kind = f"stationary at discount {discount:g}" if discount is not None else "finite horizon, undiscounted"
    head = f"{id}: {found['states']:,} states, horizon {found['horizon']}; {kind}; alpha {alpha:g}"
    rows = [["exact solution", "welfare", "payment", "share", "utility"]]
    for each in solutions(found):
        paid = each.payment or 0.0
        share = "" if each.payment is None else f"{paid / each.welfare:.1%}" if each.welfare > 0 else "-"
        payment = "" if each.payment is None else f"{paid:.3f}"
        utility = f"{each.welfare / alpha - paid:.2f}"
        rows.append([each.name + NOT_SETTLED * (not each.settled), f"{each.welfare:.3f}", payment, share, utility])
    return f"{head}\n\n{columns(rows)}"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paymaster"


@cache
def _code() -> str:
    """A hash of the games and the solver."""
    package = Path(__file__).resolve().parent.parent
    files = sorted(path for folder in ("envs", "contracts") for path in (package / folder).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
