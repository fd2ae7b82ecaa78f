"""Folders of results: one is locked while a process writes to it; a run's folder appears complete or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.config import UsageError
from .provenance import now

MARKER = "paymaster.jsonl"  # marks a folder of results as ours, with a line for each command that wrote to it
RUN = "run.json"  # in the folder of every run
PARTIAL = ".partial-"


def check(out: Path) -> None:
    """Raise UsageError unless results may be written to `out`: a folder of ours, an empty one, or a new one."""
    if out.is_dir():
        if not (out / MARKER).is_file() and any(out.iterdir()):
            raise UsageError(
                f"{out} holds files that Paymaster did not write: choose another --out, or an empty folder"
            )
        nearest = out
    elif out.exists() or out.is_symlink():
        raise UsageError(f"{out} is not a folder: choose another --out")
    else:
        nearest = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(
            f"{out} cannot be written: {nearest} is not a folder that may be written to; choose another --out"
        )


@contextmanager
def locked(out: Path, command: str) -> Iterator[None]:
    """Lock `out`, note the `command`, and delete what a killed process left, unless another process is writing there.

    The lock is shared: several processes may write at once. Raises UsageError where `check` does, or where the system
    refuses.
    """
    check(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        marker = open(out / MARKER, "a+")  # noqa: SIM115 (open to the end: its lock shows that a process is writing)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}; choose another --out") from None
    with marker:
        marker.write(json.dumps({"command": command, "date": now()}) + "\n")
        marker.flush()
        if _alone(marker.fileno()):
            for left in out.rglob(f"{PARTIAL}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        fcntl.flock(marker, fcntl.LOCK_SH)
        yield


@contextmanager
def atomic_dir(folder: Path) -> Iterator[Path]:
    """A temporary folder to write to, which is renamed to `folder` at the end, or deleted after an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder.parent))
    try:
        yield partial
        os.chmod(partial, 0o777 & ~_umask())
        if not folder.exists():  # another process may have finished the same run, with the same result
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary file to write to, which replaces `path` at the end, or is deleted after an error.

    Raises UsageError where the system refuses.
    """
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def commands(out: Path) -> list[dict[str, str]]:
    """The commands that wrote to a folder of results, with their dates; empty for any other folder."""
    try:
        return [json.loads(line) for line in (out / MARKER).read_text().splitlines()]
    except (OSError, ValueError):
        return []


def results_of(folder: Path, run: str) -> Path:
    """The folder of results that contains `folder`, the folder of the run whose relative path there is `run`."""
    found = folder.absolute()
    for _ in Path(run).parts:
        found = found.parent
    return found


def runs(path: Path) -> list[Path]:
    """The sorted run folders at or below `path`. Folders of unfinished runs may go at any moment: they are left out."""
    found = []
    for folder, below, held in os.walk(path):
        below[:] = [name for name in below if not name.startswith(PARTIAL)]
        if RUN in held:
            found.append(Path(folder))
    return sorted(each for each in found if not any(part.startswith(PARTIAL) for part in each.parts))


def _alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
