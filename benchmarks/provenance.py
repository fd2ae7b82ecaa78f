"""The provenance of results: versions, commit and machine, which are recorded beside every result."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..core.version import VERSION

PACKAGES = ("numpy", "numba", "torch", "ray", "gymnasium", "pettingzoo", "pandas", "pyarrow", "scipy")
ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "results/reference"


def provenance() -> dict[str, object]:
    """Versions, commit, machine and the time in UTC, JSON-ready."""
    return {"versions": versions(), "commit": commit(), "machine": machine(), "date": now()}


def command() -> str:
    """The command line of this process, quoted, with absolute paths as `_portable` has them."""
    name = Path(sys.argv[0]).name
    return shlex.join(["paymaster" if name == "__main__.py" else name, *map(_portable, sys.argv[1:])])


def _portable(argument: str) -> str:
    """An argument; an absolute path in it, or behind its first `=`, from the working folder, or by its name alone."""
    option, equals, value = argument.partition("=") if not argument.startswith("/") else ("", "", argument)
    path = Path(value)
    if not path.is_absolute() or not path.name:
        return argument
    inside = path.is_relative_to(Path.cwd())
    return f"{option}{equals}{path.relative_to(Path.cwd()) if inside else path.name}"


def now() -> str:
    """The time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def versions() -> dict[str, str]:
    """The versions of Paymaster, of Python, and of the installed packages on which results depend."""
    found = {"paymaster": VERSION, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """The checkout's commit, with `+changes` where files differ from it; empty where there is no checkout.

    Changes of the tables that `make results` writes are ignored, since no result depends on them.
    """
    head = _git("rev-parse", "HEAD")
    if not head or Path(_git("rev-parse", "--show-toplevel")).resolve() != ROOT:
        return ""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{REFERENCE}")
    return head + ("+changes" if changed else "")


@cache
def machine() -> dict[str, object]:
    """The processor, the cores that this process may use, and the operating system."""
    return {"cpu": _cpu(), "cores": cores(), "system": f"{platform.system()} {platform.machine()}"}


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
