"""Exact solutions in a folder: the values in solution.json, and the policies, which can be played, in policies.npz."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...contracts.loop import AgentView
from ...contracts.mechanism import Decisions
from ...contracts.recommendation import RecommendationContract
from ...core.config import UsageError
from ...envs import make
from ...envs.game import Game
from ...equilibria.solve import Solution
from ...equilibria.tables.table import tabular
from ..files import atomic_file, locked
from .replay import Replay, play

SOLUTION, POLICIES = "solution.json", "policies.npz"
PLAYED = "principal"  # the solution that is drawn; it recommends actions and pays
RANDOM = 0  # the stream of keys of an episode that no run recorded


def save_solution(
    out: Path, id: str, game: Game, solved: Mapping[str, object], solutions: dict[str, Solution], command: str
) -> None:
    """Write the values in `solved` and the policies of every rule to `out`. Raises UsageError as `files.locked` does.

    For each rule, policies.npz holds the actions, (T, S, N) or (S, N), the payments for following while all follow, and
    the mixed strategies: their places `t * S + s` and each agent's probabilities there. The game's `index` numbers the
    states.
    """
    arrays: dict[str, np.ndarray] = {}
    for rule, solution in solutions.items():
        arrays |= {
            f"{rule}.actions": solution.actions.astype(np.int8),
            f"{rule}.promised": solution.promised.astype(np.float32),
            f"{rule}.mixed_cells": solution.mixed.cells,
            f"{rule}.mixed_strategies": solution.mixed.strategies,
        }
    about = {"id": id, "version": game.version, "command": command, **solved}
    with locked(out, command):
        with atomic_file(out / POLICIES) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        with atomic_file(out / SOLUTION) as partial:
            partial.write_text(json.dumps(about, indent=1) + "\n")


def replay_solution(folder: Path, seed: int) -> tuple[Game, Replay]:
    """A game that was solved, and an episode in which its agents follow the exact principal.

    Raises UsageError where the folder's files are damaged, or the game's rules have changed since it was solved.
    """
    game, principal = _load(folder)
    contract = RecommendationContract(game=game)

    def follow(seen: AgentView) -> np.ndarray:
        return seen.terms[..., : len(game.action_names)].argmax(axis=-1)

    return game, play(game, contract, principal, follow, seed=seed, stream=RANDOM)


class _Principal:
    """A principal that decides by a policy, (T, S, N) or (S, N)."""

    def __init__(self, actions: np.ndarray, promised: np.ndarray) -> None:
        stationary = actions.ndim == 2
        self.actions = actions[None] if stationary else actions
        self.promised = promised[None] if stationary else promised

    def __call__(self, game: Game, state: Any) -> Decisions:
        index = tabular(game).index(state)
        now = np.minimum(state.t, len(self.actions) - 1)
        return Decisions(self.actions[now, index].astype(np.int64), self.promised[now, index].astype(np.float32))


def _load(folder: Path) -> tuple[Game, _Principal]:
    try:
        about = json.loads((folder / SOLUTION).read_text())
        game = make(about["id"], **about["rules"])
        with open(folder / POLICIES, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            actions, promised = arrays[f"{PLAYED}.actions"], arrays[f"{PLAYED}.promised"]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{folder} cannot be read: {error}; solve the game again") from None
    if about["version"] != game.version:
        raise UsageError(
            f"{folder} was solved under version {about['version']} of the game, and this is {game.version}; solve again"
        )
    shape, A = (tabular(game).states, len(game.agents)), len(game.action_names)
    fits = actions.shape in (shape, (game.horizon, *shape)) and promised.shape == actions.shape
    if not fits or actions.dtype.kind not in "iu" or promised.dtype.kind != "f" or not _within(actions, A):
        raise UsageError(f"{folder / POLICIES} holds no policy of {about['id']}; solve the game again")
    return game, _Principal(actions, promised)


def _within(actions: np.ndarray, A: int) -> bool:
    return bool(actions.size and actions.min() >= 0 and actions.max() < A)
