"""A cache of the solver's summaries, valid until a rule or the code behind them changes."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.config import UsageError, to_json
from ...envs.game import Game, values_its_own
from ..files import atomic_file
from ..specs.run_names import digest

if TYPE_CHECKING:
    from ...equilibria.tables.table import Table


_SOLVER = Path(__file__).resolve().parents[2] / "equilibria" / "solve.py"


def cached_summary(
    game: Game, alpha: float, discount: float | None, tables: list[Table] | None = None
) -> dict[str, Any]:
    """The solver's summary, from the user's cache folder where a summary of the same rules and code is there.

    `tables` keeps the game's table for the next call with the same list. Raises UsageError for a game without one.
    """
    found = kept_summary(game, alpha, discount)
    if found is not None:
        return found
    from ...equilibria.solve import summary
    from ...equilibria.tables.tabulate import tabulate

    if tables is not None and not tables and not values_its_own(game):
        tables.append(tabulate(game))
    found = summary(game, alpha=alpha, discount=discount, table=tables[0] if tables else None)
    path = _path(game, alpha, discount)
    with suppress(OSError, UsageError):  # it will be solved again
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(found))
    return found


def kept_summary(game: Game, alpha: float, discount: float | None) -> dict[str, Any] | None:
    """The solver's summary where it is in the cache, else None."""
    try:
        return json.loads(_path(game, alpha, discount).read_text())
    except (OSError, ValueError):
        return None


def _path(game: Game, alpha: float, discount: float | None) -> Path:
    about = [type(game).__name__, to_json(game), alpha, discount, _code(game)]
    return _cache() / f"exact-{digest(about)}.json"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paymaster"


def _code(game: Game) -> str:
    """A hash of the source of the solver, of the game, and of all that they import from this package."""
    files = _sources(_SOLVER) | _sources(Path(inspect.getfile(type(game))).resolve())
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


@cache
def _sources(file: Path) -> frozenset[Path]:
    """The file and all files that it imports relatively, directly or not."""
    found, waiting = set[Path](), [file]
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file():
            found.add(path)
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.ImportFrom) and node.level:
                    module = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                    waiting += [module.with_suffix(".py"), *(module / f"{name.name}.py" for name in node.names)]
    return frozenset(found)
