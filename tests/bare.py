"""What works where ray, torch and pygame are absent; run by test_house.py, there with imports of them refused."""

from __future__ import annotations

import contextlib
import io
import sys
from importlib.abc import MetaPathFinder

ABSENT = ("ray", "torch", "pygame")


class Refuse(MetaPathFinder):
    """Finds none of `ABSENT`, as where they are not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def command(*arguments: str) -> tuple[int, str]:
    """A command's exit code, and what it printed."""
    from paymaster.benchmarks.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(arguments)
        except SystemExit as done:
            return int(done.code or 0), out.getvalue()
    raise AssertionError(arguments)


def check() -> None:
    import paymaster
    import paymaster.games
    import paymaster.learning
    import paymaster.mechanisms
    from paymaster.baselines import MECHANISMS

    games = [paymaster.make(id) for id in paymaster.games.games()]
    assert len(games) > 30
    assert all(MECHANISMS[id] for id in MECHANISMS)
    paid = paymaster.parallel_env("coin_game/ivanov-3x3", "principal-dqn", principal="agent", render_mode="ansi")
    paid.reset(seed=0)
    assert "red" in paid.render()
    alone = paymaster.env("coin_game/ivanov-3x3")
    alone.reset(seed=0)
    alone.step(0)
    assert paymaster.solve(paymaster.make("matrix/chicken"))["principal"]
    for arguments in (("list",), ("solve", "coin_game/ivanov-3x3"), ("compare", "--help")):
        assert command(*arguments)[0] == 0
    for arguments, lacking in (
        (("run", "quick"), "torch and ray"),
        (("speed", "matrix/chicken"), "torch and ray"),
        (("render", "matrix/chicken", "--out", "chicken.png"), "pygame"),
    ):
        code, told = command(*arguments)
        assert code == 2, told
        assert f"needs {lacking}, not installed here" in told, told
        assert "Traceback" not in told
    try:
        _ = paymaster.learning.agents_config
    except paymaster.UsageError as error:
        assert "needs torch and ray" in str(error)  # noqa: PT017 (pytest is not there either)
    else:
        raise AssertionError
    assert not any(name in sys.modules for name in ABSENT)


if __name__ == "__main__":
    if "--refuse" in sys.argv:
        sys.meta_path.insert(0, Refuse())
    check()
