"""`paymaster audit`: audits finished runs by exact arithmetic, keeps each audit in its run's folder, and prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import numpy as np

from ...core.config import UsageError
from .. import files
from ..files import RUN
from ..measures.audit import Audit, Judged, Money, examine, write_audit
from ..reports.text_table import WIDTH, Rows, columns
from ..runs.progress import counted
from ..runs.record import read_about, read_episodes

POLICIES = {"followed": "obedient", "learned": "as learned"}  # the names in audit.json, and those in tables
BENCHMARKS = {"spe": "SPE", "best_rate": "best linear contract"}
NOTE = (
    "Welfare and payment are exact, per episode. One-shot gain: the most that any agent adds to its value by another "
    "action in one step, in the state where that adds most. Exploitability: the most that any agent adds to its value "
    "by another policy, on average over the starts{discounted}. Welfare gap and overpayment: the welfare missing to, "
    "and the payment above, the subgame-perfect principal (SPE) and the best linear contract."
)


class Audited(NamedTuple):
    """The audit of a run, and a text that names the run."""

    name: str
    audit: Audit


def audit_and_tell(paths: Sequence[Path], *, as_json: bool) -> int:
    """Audit the runs at or below `paths`, write audit.json to each, print the audits, and return the exit code.

    Runs that cannot be audited are named and left out. Raises UsageError if none can be.
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
    print(_json(found) if as_json else "\n\n".join([*map(as_text, found), *_notes(found)]))
    return 0


def audited(folder: Path) -> Audited:
    """Audit the run in `folder` and write its audit.json. Raises UsageError where it cannot be audited."""
    from ..runs.load import load

    about, loaded = read_about(folder / RUN), load(folder)
    values = about["resolved"]
    if values["game_version"] != loaded.game.version:
        raise UsageError(
            f"its game is version {values['game_version']} of {values['game']}, whose rules have changed since"
        )
    keys = read_episodes(folder, "evaluate", ["key"])["key"].to_numpy(np.uint64)
    exam = examine(loaded.run, loaded.mechanism, loaded.principal, loaded.policy, keys)
    write_audit(folder, exam.audit)
    return Audited(f"{values['game']}, {about['name']}/{values['algorithm']}, seed {values['seed']}", exam.audit)


def as_text(each: Audited) -> str:
    """The audit of a run as text."""
    audit = each.audit
    kind = "finite horizon" if audit.discount is None else f"discount {audit.discount:g}"
    parts = [
        f"{each.name}: {audit.states:,} states, horizon {audit.horizon}, {kind}",
        columns(_rows(audit)),
        columns(_gaps(audit)) if audit.regrets else "",
        fill("; ".join(_remarks(audit)), WIDTH),
    ]
    return "\n\n".join(filter(None, parts))


def _rows(audit: Audit) -> Rows:
    rows = [["", "welfare", "payment", "one-shot gain", "exploitability"]]
    if audit.followed is not None:
        rows.append(_row(POLICIES["followed"], audit.followed))
    rows.append(_row(POLICIES["learned"], audit.learned))
    for found in audit.equilibria:
        name = f"equilibrium, {found.found}" if found.holds else f"no equilibrium, {found.found}"
        rows.append([name + " (worst)" * (found.found == audit.worst), *_money(found), "", f"{found.gain:.3f}"])
    for name, money in audit.benchmarks.items():
        rows.append([f"exact: {BENCHMARKS[name]}", *_money(money), "", ""])
    return rows


def _gaps(audit: Audit) -> Rows:
    """A row for each policy's distance from each exact benchmark."""
    rows = [["", "welfare gap", "overpayment"]]
    for name, regrets in audit.regrets.items():
        for policy, regret in regrets.items():
            label = f"{POLICIES[policy]}, to {BENCHMARKS[name]}"
            rows.append([label, f"{regret.welfare:+.3f}", f"{regret.payment:+.3f}"])
    return rows


def _remarks(audit: Audit) -> Iterator[str]:
    if audit.spe_ratio is not None:
        yield f"best-response ratio {audit.spe_ratio:.3f} (others obedient)"
    if audit.ic_ratio is not None:
        yield f"best-response ratio {audit.ic_ratio:.3f} (others as learned)"
    yield f"deviation regret {audit.deviation_regret:.3f} per episode"
    if audit.agreement < 1.0:
        yield f"agents act alike in symmetric states {audit.agreement:.0%} of the time: as learned is approximate"


def _row(name: str, judged: Judged) -> list[str]:
    return [name, *_money(judged), f"{max(judged.gain_now):.3f}", f"{max(judged.gain):.3f}"]


def _money(money: Money) -> list[str]:
    return [f"{money.welfare:.3f}", f"{money.payment:.3f}"]


def _notes(found: list[Audited]) -> Iterator[str]:
    discounted = any(each.audit.discount is not None for each in found)
    yield fill(NOTE.format(discounted=", discounted where a discount is given" * discounted), WIDTH)


def _json(found: list[Audited]) -> str:
    return json.dumps([{"name": each.name, **each.audit.model_dump()} for each in found], indent=1)


def _runs(path: Path) -> list[Path]:
    runs = files.runs(path) if path.is_dir() else []
    if not runs:
        what = "holds no finished run" if path.is_dir() else "is no folder"
        raise UsageError(f"{path} {what}: name the folder of a run, or a folder that holds runs")
    return runs
