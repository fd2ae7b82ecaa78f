"""`paymaster compare`: reads, compares, writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...core.config import UsageError
from ..analysis.comparison import compare
from ..files import RUN, commands, runs, whole_file
from ..provenance import command, now
from ..reports.comparison_table import present
from ..runs.record import read_about


def compare_and_write(paths: Sequence[Path], format: str, against: str | None, out: Path | None) -> int:
    """Write a comparison to the terminal, or to `out` with how it was made beside it; the exit code.

    Raises UsageError where nothing is there to be compared, or `out` cannot be written.
    """
    comparison = compare(*paths, against=against, solve=format != "csv")
    for damaged in comparison.damaged:
        print(f"paymaster: left out: {damaged}", file=sys.stderr)
    text = present(comparison, format)
    if out is None:
        print(text)
        return 0
    _write(paths, out, text)
    print(f"{len(comparison.rows)} runs in {out}, how it was made in {out.with_suffix('.json')}")
    return 0


def _write(paths: Sequence[Path], out: Path, text: str) -> None:
    if out.suffix == ".json":
        raise UsageError(f"{out} would be overwritten by how it was made: write to .txt, .md or .csv")
    with whole_file(out) as partial:
        partial.write_text(text + "\n")
    with whole_file(out.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(_made(paths), indent=1) + "\n")


def _made(paths: Sequence[Path]) -> dict[str, Any]:
    """The command that compares, those that made the runs, and with which versions and machines they did."""
    ways: dict[str, dict[str, Any]] = {}
    for about in _abouts(paths):
        way = {name: about.get(name) for name in ("commit", "machine", "versions")}
        way = ways.setdefault(json.dumps(way), {"runs": 0, "dates": [], **way})
        way["runs"] += 1
        way["dates"] = [min([about["date"], *way["dates"]]), max([about["date"], *way["dates"]])]
    made = [each for path in paths for each in commands(path)]
    return {"command": command(), "date": now(), "commands": made, "made": list(ways.values())}


def _abouts(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for folder in (folder for path in paths if path.is_dir() for folder in runs(path)):
        try:
            yield read_about(folder / RUN)
        except UsageError:
            continue  # named among the damaged already
