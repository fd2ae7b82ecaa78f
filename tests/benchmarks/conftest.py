"""The command line with plugins, each call as if in a process of its own; and keys that a person presses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.specs.plugins import REGISTRIES


@pytest.fixture
def forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Work in an empty folder with nothing registered; calling it forgets all plugins, as another process would."""

    def forget() -> None:
        for registry in REGISTRIES.values():
            monkeypatch.setattr(registry, "added", {})
            vars(registry).pop("installed", None)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
                del sys.modules[name]
        invalidate_caches()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module is written anew within a second
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield forget
    monkeypatch.undo()
    forget()


@pytest.fixture
def paymaster(forget: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command line as if in a process of its own; stdout, or stderr where its exit `code` is not 0."""

    def ran(*arguments: object, code: int = 0) -> str:
        forget()
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert int(exit.value.code or 0) == code, told.out + told.err
        return told.err if code else told.out

    return ran


@pytest.fixture
def apart(tmp_path: Path) -> Callable[..., str]:
    """Run the command line in a process of its own, for which modules may also lie in `path`; stdout and stderr."""

    def ran(*arguments: object, path: Path | None = None, code: int = 0) -> str:
        known = os.pathsep.join(map(str, filter(None, [path, os.environ.get("PYTHONPATH", "")])))
        done = subprocess.run(
            [sys.executable, "-m", "paymaster", *map(str, arguments)],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": known}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return ran


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Post keys, named as pygame does without its K_; whoever leaves nothing to do is left by Escape."""
    import pygame  # it announces itself

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.event.clear()

    def post(*names: str) -> None:
        for name in (*names, "ESCAPE"):
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=getattr(pygame, f"K_{name}")))

    yield post
    pygame.display.quit()
