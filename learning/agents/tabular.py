"""What agents share that learn by gradients of exact returns, in games that fit in a table; the policies they keep."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from ...contracts.loop import AgentView
from ...contracts.mechanism import Mechanism
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError, configuration
from ...envs.game import Game
from ..role import Role, Task, Update
from ..settings import Count, PlayBy

if TYPE_CHECKING:
    import torch

    from ..exact_gradients import ExactReturns

LOOKED_AT = 16  # episodes, and steps in each, in which it is looked at what agents see
LARGEST_TABLE = 1 << 20  # numbers: the chances (S, J, S) of all next states


class TabularPolicy(Saved):
    """With which probabilities each agent takes each action where it sees one of its `situations`."""

    def __init__(self, situations: np.ndarray, probabilities: np.ndarray, play: PlayBy) -> None:
        self.situations = situations  # (N, C, D) observations of each agent, the first one again where it has fewer
        self.table = probabilities  # (N, C, A) float64
        self.play: PlayBy = play
        self._places = [{row.tobytes(): place for place, row in enumerate(rows)} for rows in situations]

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        chances = self._chances(seen)
        if self.play == "greedy":
            return chances.argmax(axis=-1)
        assert seen.noise is not None, "agents that draw their actions need the episode's draws"
        passed = chances.cumsum(axis=-1) <= seen.noise[..., None]
        return np.minimum(passed.sum(axis=-1), chances.shape[-1] - 1)

    def probabilities(self, seen: AgentView) -> np.ndarray:
        """(B, N, A) float32; 1 for the action of an agent that plays greedily."""
        if self.play == "greedy":
            return np.eye(self.table.shape[-1], dtype=np.float32)[self(seen)]
        return self._chances(seen).astype(np.float32)

    def _chances(self, seen: AgentView) -> np.ndarray:
        rows = _rows(seen.observations, self.situations.dtype)
        try:
            places = [[self._places[i][row[i].tobytes()] for i in range(len(self._places))] for row in rows]
        except KeyError:
            raise UsageError(
                "agents see what their table does not list: the game shows more than its exact states tell apart; "
                "choose an algorithm with networks"
            ) from None
        return self.table[np.arange(len(self._places)), np.array(places)]

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({"play": self.play}, {"situations": self.situations, "probabilities": self.table})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        arrays = checkpoint.arrays
        return cls(arrays["situations"], arrays["probabilities"], checkpoint.about["play"])


@configuration
class ExactLearner(Role):
    """Agents that know the game, and each other's policies, and move them all at once by gradients of exact returns.

    Nothing is sampled, so no environment steps are taken. Returns are those of the stationary game that never ends, and
    their sums, not their means per step, are climbed. What a mechanism promises is known by the returns, not seen. In a
    mixture all agents are taken to learn so. A subclass overrides `update`.
    """

    plays: ClassVar[str] = "agents"
    learns: ClassVar[bool] = False

    discount: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.96
    """Discount factor per step; a game that is played once has none."""
    updates: Count = 200
    """Number of simultaneous updates."""
    spread: Annotated[float, Field(ge=0.0)] = 1.0
    """Standard deviation of the logits at the start."""
    play: PlayBy = "sampled"
    """How agents act when they are evaluated: they draw from what they learned, which mixes, or take the likeliest."""

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for games without a small table, those that show more than it, and mechanisms beyond it."""
        from ...equilibria.induced_game import beyond_tables
        from ...equilibria.tables.table import tabular

        game, name = mechanism.game, type(self).__name__
        if why := beyond_tables(mechanism):
            raise UsageError(
                f"{name} climbs exact returns, and {type(mechanism).__name__} {why}: choose an algorithm that plays, "
                "as dqn or ppo, or another mechanism"
            )
        states = tabular(game).states
        size = states**2 * len(game.action_names) ** len(game.agents)
        if size > LARGEST_TABLE:
            raise UsageError(
                f"the game has {states:,} states, of which {name} needs all transitions at once: {size:,} numbers, "
                f"{LARGEST_TABLE:,} are allowed; choose an algorithm that plays, as dqn or ppo, or a smaller game"
            )
        _check_sight(game)

    def learn(self, task: Task) -> Generator[Update, None, TabularPolicy]:
        """Move all policies `updates` times, and yield the mean of the agents' returns at the end."""
        import torch

        from ...equilibria.induced_game import induce
        from ...equilibria.tables.table import tabular
        from ..exact_gradients import ExactReturns, probabilities

        game, discount = task.game, self.discount if task.game.horizon > 1 else 0.0
        induced = induce(game, task.mechanism, task.principal, discount=discount)
        shown = _rows(game.observe(tabular(game).representatives()))
        told = [np.unique(shown[:, i], axis=0, return_inverse=True) for i in range(shown.shape[1])]
        situations = np.stack([places.ravel() for _, places in told], axis=1)
        returns = ExactReturns(induced.earned, situations, discount)
        shape = len(game.action_names) - 1
        logits = [self.spread * torch.randn(len(seen), shape, dtype=torch.float64) for seen, _ in told]
        for _ in range(self.updates):
            logits = self.update(returns, logits)
        yield Update(0, 0, None, {"mean_return": float(returns(logits).mean())})
        chances = [probabilities(each).numpy() for each in logits]
        return TabularPolicy(_padded([seen for seen, _ in told]), _padded(chances), self.play)

    def update(self, returns: ExactReturns, logits: list[torch.Tensor]) -> list[torch.Tensor]:
        """The agents' next logits, of each (C_i, A - 1); neither those given nor those returned have gradients."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its agents learn")

    def kept(self) -> type[TabularPolicy]:
        return TabularPolicy


def _check_sight(game: Game) -> None:
    """Raise UsageError where agents are shown what the states of the table do not tell apart, in some random play."""
    from ...equilibria.tables.table import tabular

    listed = _rows(game.observe(tabular(game).representatives()))
    known = [{row.tobytes() for row in listed[:, i]} for i in range(listed.shape[1])]
    rng, state = np.random.default_rng(0), game.reset(np.arange(LOOKED_AT, dtype=np.uint64))
    for _ in range(min(game.horizon, LOOKED_AT)):
        for i, rows in enumerate(_rows(game.observe(state)).swapaxes(0, 1)):
            if any(row.tobytes() not in known[i] for row in np.ascontiguousarray(rows)):
                raise UsageError(
                    f"{type(game).__name__} shows agents more than its exact states tell apart, as where they are on a "
                    "torus: choose an observation that does not (in the Coin Game observation=mutual), or an algorithm "
                    "with networks"
                )
        state, _ = game.step(state, rng.integers(len(game.action_names), size=(LOOKED_AT, len(game.agents))))


def _rows(observations: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """Observations (B, N, ...) as rows (B, N, D) in memory of their own."""
    return np.ascontiguousarray(observations.reshape(*observations.shape[:2], -1), dtype)


def _padded(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays (C_i, ...) as one (N, C, ...), filled up with each one's first row."""
    most = max(len(each) for each in arrays)
    return np.stack([np.concatenate([each, np.repeat(each[:1], most - len(each), axis=0)]) for each in arrays])
