"""Folders of results: claimed before anything is written, each run's folder there whole or not at all."""

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

MARKER = "paymaster.jsonl"  # says that a folder of results is ours: a line for each command that wrote to it
RUN = "run.json"  # a run's folder holds one
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
def claimed(out: Path, command: str) -> Iterator[None]:
    """Make `out` ours, note the `command`, and clear what a killed process left, unless another writes there now.

    Raises UsageError where `check` does, or the system refuses.
    """
    check(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        marker = open(out / MARKER, "a+")  # noqa: SIM115 (held to the end: its lock says that somebody writes here)
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
def whole(folder: Path) -> Iterator[Path]:
    """A new folder to write to, which becomes `folder` at the end: whole, or on an error not at all."""
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
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of `path` at the end: whole, or on an error not at all.

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
    """The commands that wrote to a folder of ours, with their dates; none for any other folder."""
    try:
        return [json.loads(line) for line in (out / MARKER).read_text().splitlines()]
    except (OSError, ValueError):
        return []


def results_of(folder: Path, run: str) -> Path:
    """The folder of results in which `folder` stands, of the run that is kept there as `run` (a relative path)."""
    found = folder.absolute()
    for _ in Path(run).parts:
        found = found.parent
    return found


def runs(path: Path) -> list[Path]:
    """The run folders at or below `path`, in order."""
    return sorted(found.parent for found in path.rglob(RUN) if not _within_partial(found))


def _within_partial(path: Path) -> bool:
    return any(part.startswith(PARTIAL) for part in path.parts)


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
