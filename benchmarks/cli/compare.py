"""`paymaster compare`: reads runs and tables, compares them, and prints or writes the comparison."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...core.config import UsageError
from ..analysis.comparison import Comparison, compare
from ..files import RUN, atomic_file, commands, runs
from ..provenance import command, now
from ..reports.comparison_table import present
from ..runs.record import read_about


def compare_and_write(
    paths: Sequence[Path], format: str, against: str | None, out: Path | None, *, everything: bool = False
) -> int:
    """Print a comparison, or write it to `out` with a record of how it was made beside it, and return the exit code.

    Raises UsageError where there is nothing to compare, and where `out` cannot be written.
    """
    comparison = compare(*paths, against=against, solve=out is not None or format != "csv")
    for damaged in comparison.damaged:
        print(f"paymaster: left out: {damaged}", file=sys.stderr)
    text = present(comparison, format, everything=everything)
    if out is None:
        print(text)
        return 0
    _write(paths, comparison, out, text)
    print(f"wrote {len(comparison.rows)} runs to {out}, and how the table was made to {out.with_suffix('.json')}")
    return 0


def _write(paths: Sequence[Path], comparison: Comparison, out: Path, text: str) -> None:
    if out.suffix == ".json":
        raise UsageError(f"--out {out}: the .json is kept for how the table was made; write to a .txt, .md or .csv")
    with atomic_file(out) as partial:
        partial.write_text(text + "\n")
    with atomic_file(out.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(_made(paths, comparison), indent=1) + "\n")


def _made(paths: Sequence[Path], comparison: Comparison) -> dict[str, object]:
    """The commands of the comparison and of the runs, their commits, machines and versions, and exact solutions."""
    dates: dict[str, list[str]] = {}  # of the runs, by the JSON text of their commit, machine and versions
    for about in _abouts(paths):
        way = {name: about.get(name) for name in ("commit", "machine", "versions")}
        dates.setdefault(json.dumps(way), []).append(str(about["date"]))
    made = [{"runs": len(each), "dates": [min(each), max(each)], **json.loads(way)} for way, each in dates.items()]
    earlier = [each for path in paths for each in commands(path)]
    return {"command": command(), "date": now(), "commands": earlier, "made": made, "exact": _exact(comparison)}


def _exact(comparison: Comparison) -> list[dict[str, object]]:
    """The exact solutions of each game."""
    return [
        {"game": group.game, "rules": group.rules, "solutions": [each._asdict() for each in group.exact]}
        for group in comparison.groups
    ]


def _abouts(paths: Sequence[Path]) -> Iterator[Mapping[str, object]]:
    for folder in (folder for path in paths if path.is_dir() for folder in runs(path)):
        try:
            yield read_about(folder / RUN)
        except UsageError:
            continue  # the comparison already names it among the damaged ones
