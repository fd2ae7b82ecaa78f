"""`paymaster audit`: judges finished runs by exact arithmetic, keeps what it finds beside them, and tells it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...core.config import UsageError
from .. import files
from ..files import RUN
from ..measures.audit import Audit, Judged, Money, examine, write_audit
from ..reports.text_table import Rows, columns
from ..runs.counting import counted
from ..runs.record import read_about, read_episodes

HEAD = ["", "welfare", "payment", "gain now", "gain"]
TO = {"spe": "to spe", "best_rate": "to best rates"}  # benchmarks, as columns of regret
NOTE = (
    "Welfare and payment of an episode, exactly. Gain: what the best deviation of any agent adds to its value, now "
    "by one step in the state where it adds most, or by any policy, on average over the starts{discounted}. To spe, to "
    "best rates: welfare that is missing to, payment that is more than with the subgame-perfect principal and the best "
    "linear contract."
)


class Audited(NamedTuple):
    """A run's audit, and how the run is called."""

    name: str
    audit: Audit


def audit_and_tell(paths: Sequence[Path], *, as_json: bool) -> int:
    """Audit the runs at or below `paths`, write audit.json to each, and print what was found; the exit code.

    Runs that cannot be judged are named and left out. Raises UsageError where none is left.
    """
    found: list[Audited] = []
    left_out: list[str] = []
    runs = [folder for path in paths for folder in _runs(path)]
    for folder in counted(runs, len(runs), "audit"):
        try:
            found.append(audited(folder))
        except UsageError as error:
            left_out.append(f"{folder}: {error}")
    if not found:
        raise UsageError("; ".join(["nothing was audited", *left_out]))
    for sentence in left_out:
        print(f"paymaster: left out: {sentence}", file=sys.stderr)
    print(_json(found) if as_json else "\n\n".join([*map(told, found), *_notes(found)]))
    return 0


def audited(folder: Path) -> Audited:
    """Audit the run in `folder` and write its audit.json. Raises UsageError where it cannot be judged or written."""
    from ..specs.resolve import resolve

    about, loaded = read_about(folder / RUN), _loaded(folder)
    values = about["resolved"]
    if values["game_version"] != loaded.game.version:
        raise UsageError(f"it played version {values['game_version']} of {values['game']}, whose rules have changed")
    keys = read_episodes(folder, "evaluate", ["key"])["key"].to_numpy(np.uint64)
    exam = examine(resolve(loaded.spec), loaded.mechanism, loaded.principal, loaded.policy, keys)
    write_audit(folder, exam.audit)
    return Audited(f"{values['game']}, {about['name']}/{values['algorithm']}, seed {values['seed']}", exam.audit)


def _loaded(folder: Path) -> Any:
    from ..runs.load import load

    try:
        return load(folder)
    except UsageError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:  # files of another shape, or none
        reason = str(error).splitlines()[0]
        raise UsageError(f"what it learned cannot be loaded ({reason}): another version of Paymaster made it") from None


def told(each: Audited) -> str:
    """A run's audit, for people."""
    audit = each.audit
    known = [name for name in TO if name in audit.benchmarks]
    rows: Rows = [[*HEAD, *(head for name in known for head in (f"{TO[name]}: welfare", "payment"))]]
    if audit.followed is not None:
        rows.append([*_row("if followed", audit.followed), *_regrets(audit, known, "followed")])
    rows.append([*_row("as learned", audit.learned), *_regrets(audit, known, "learned")])
    for found in audit.equilibria:
        name = f"equilibrium, {found.found}" if found.holds else f"no equilibrium, {found.found}"
        money = [*_money(found), "", f"{found.gain:.3f}"]
        rows.append([name + ", the worst" * (found.found == audit.worst), *money])
    rows += [[f"exact: {name}", *_money(audit.benchmarks[name])] for name in known]
    width = len(rows[0])
    table = columns([row + [""] * (width - len(row)) for row in rows])
    kind = "finite horizon" if audit.discount is None else f"discount {audit.discount:g}"
    lines = [f"{each.name}: {audit.states:,} states, horizon {audit.horizon}, {kind}", "", table, ""]
    return "\n".join([*lines, "; ".join(_remarks(audit))])


def _remarks(audit: Audit) -> Iterator[str]:
    if audit.spe_ratio is not None:
        yield f"SPE ratio {audit.spe_ratio:.3f}"
    if audit.ic_ratio is not None:
        yield f"IC ratio {audit.ic_ratio:.3f}"
    yield f"deviation regret {audit.deviation_regret:.3f} an episode"
    if audit.agreement < 1.0:
        yield f"symmetric states are played alike in {audit.agreement:.0%} of the actions: as learned is approximate"


def _row(name: str, judged: Judged) -> list[str]:
    return [name, *_money(judged), f"{max(judged.gain_now):.3f}", f"{max(judged.gain):.3f}"]


def _money(money: Money) -> list[str]:
    return [f"{money.welfare:.3f}", f"{money.payment:.3f}"]


def _regrets(audit: Audit, known: list[str], kind: str) -> Iterator[str]:
    for name in known:
        regret = audit.regrets[name][kind]
        yield from (f"{regret.welfare:+.3f}", f"{regret.payment:+.3f}")


def _notes(found: list[Audited]) -> Iterator[str]:
    discounted = any(each.audit.discount is not None for each in found)
    yield NOTE.format(discounted=", discounted where a discount is told" * discounted)


def _json(found: list[Audited]) -> str:
    return json.dumps([{"name": each.name, **each.audit.model_dump()} for each in found], indent=1)


def _runs(path: Path) -> list[Path]:
    runs = files.runs(path) if path.is_dir() else []
    if not runs:
        what = "holds no finished run" if path.is_dir() else "is no folder of a run"
        raise UsageError(f"{path} {what}: name the folder of a run, or a folder of runs")
    return runs
