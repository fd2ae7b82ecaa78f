"""`paymaster crossplay`: lets the agents of finished runs play with each other, and prints or writes who gains what."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ...core.config import UsageError
from ..analysis.crossplay import CrossPlay, Pairing, crossplay
from ..files import atomic_file
from ..provenance import command, provenance
from ..reports.crossplay import as_csv, as_json, as_markdown
from ..runs.progress import counted

WRITTEN = {".csv": as_csv, ".md": as_markdown}  # what a file holds, by its ending; a .json stands beside it


def crossplay_and_write(path: Path, episodes: int, out: Path | None) -> int:
    """Print the pairings of the runs in a folder, or write them to `out`, and return the exit code.

    Raises UsageError where there is nothing to play, and where `out` cannot be written.
    """
    if out is not None and out.suffix not in (*WRITTEN, ".json"):
        raise UsageError(f"--out {out}: write to a .csv, .md or .json")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it first")

    def progress(pairings: Sequence[Pairing]) -> object:
        return counted(pairings, len(pairings), "crossplay")

    found = crossplay(path, episodes=episodes, progress=progress)
    for sentence in found.left_out:
        print(f"paymaster: left out: {sentence}", file=sys.stderr)
    if out is None:
        print(as_markdown(found))
        return 0
    _write(found, out)
    print(f"wrote {len(found.cells)} pairings to {out}, and how they were made to {out.with_suffix('.json')}")
    return 0


def _write(found: CrossPlay, out: Path) -> None:
    if out.suffix in WRITTEN:
        with atomic_file(out) as partial:
            partial.write_text(WRITTEN[out.suffix](found) + "\n")
    made = {"command": command(), **provenance(), **as_json(found)}
    with atomic_file(out.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(made, indent=1) + "\n")
