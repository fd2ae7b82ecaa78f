"""Compiles the kernels before their first use, as `make setup` does: `python -m paymaster.benchmarks.compile_ahead`.

Numba compiles a kernel when it is first called, and keeps it in a cache. Without this the first solution of a game
waits for half a minute, and processes that run at once, as tests do, compile the same kernels each for itself.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from ..baselines import make_mechanism
from ..envs import games, make
from ..envs.game import Game
from ..equilibria.induced_game import best_responses, equilibria, evaluate, induce
from ..equilibria.solve import solve_all
from ..equilibria.tables.table import tabular
from .provenance import cores

BATCH = 2
SOLVED = ("coin_game/ivanov-3x3", "matrix/prisoners-dilemma", "public_goods/one-shot-4")


def play_all() -> None:
    """One step of every game, as agents see it."""
    for id in games():
        _play(make(id))


def solve_some() -> None:
    """Small games of two and more agents are solved, with and without a discount."""
    for id in SOLVED:
        for discount in (None, 0.9):
            solve_all(make(id), discount=discount)


def judge() -> None:
    """The game that a mechanism induces, its equilibria and best responses."""
    game = make(SOLVED[0])
    for discount in (None, 0.9):
        induced = induce(game, make_mechanism("constant-share", game), discount=discount)
        actions = np.zeros((induced.table.states, len(game.agents)), np.int64)
        evaluate(induced, actions)
        best_responses(induced, actions)
        equilibria(induced, {"anywhere": actions})


def _play(game: Game) -> None:
    state = game.reset(np.arange(BATCH, dtype=np.uint64))
    actions = np.zeros((BATCH, len(game.agents)), np.int64)
    following, events = game.step(state, actions)
    game.observe(following)
    game.terminated(following)
    game.rewards(events)
    game.facts(events)
    if hasattr(game, "outcomes"):
        listed = tabular(game)
        listed.index(state)
        draws, _ = listed.outcomes(state, actions)
        listed.play(state, actions, draws[:, 0].copy())


TASKS: tuple[Callable[[], None], ...] = (solve_some, play_all, judge)  # the longest first


def main() -> None:
    """Run all tasks, as many at a time as this process has cores."""
    with ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(task) for task in TASKS]:
            done.result()


if __name__ == "__main__":
    main()
