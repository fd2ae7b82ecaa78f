"""Agents that give away parts of their rewards: the same part of everyone, or as a matrix says (Willis and Luck 2023).

How little must be given away so that cooperating is dominant is the business of `contracts/reward_transfer.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger, nothing
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import UsageError, configuration
from ..envs.game import Game
from ..equilibria.transfer_levels import symmetric_transfers

Part = Annotated[float, Field(ge=0, le=1)]

ROUNDING = 1e-6  # by which the parts of a reward may miss one


@configuration
class SymmetricTransfer(Mechanism):
    """Agent `i` earns `s r_i + (1 - s) / (N - 1) sum_{j != i} r_j`. Transfers: they sum to zero.

    Everyone keeps the part `s` of its reward and the others get even parts of the rest. `s = 1` is selfish, `s = 1 / N`
    an equal split. It is the transfer matrix with `s` on the diagonal, and moves money as that does. Willis and Luck
    2023 (arXiv:2310.12928).
    """

    self_interest: Part = 0.5
    """s, the part of its reward that every agent keeps."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _several(self.game)
        return self

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        matrix = symmetric_transfers(transition.rewards.shape[1], self.self_interest)
        return _transferred(transition.rewards, matrix), memory


@configuration
class TransferMatrix(Mechanism):
    """Agent `i` earns `sum_j r_j T_ji`, its part of everyone's reward. Transfers: they sum to zero.

    Whoever gets a part of a loss bears it: it pays that part to who made the loss. What two agents owe each other is
    set off, so that `i` pays `max(T_ij r_i - T_ji r_j, 0)` to `j` and money never goes both ways, as in the constant
    share; the paper moves rewards and leaves open how. Willis and Luck 2023 (arXiv:2310.12928).
    """

    matrix: tuple[tuple[Part, ...], ...] = ()
    """T, a row for each agent: the part of its reward that each agent gets. Rows sum to one; everyone keeps all if
    none are given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _several(self.game)
        N, lengths = len(self.game.agents), [len(row) for row in self.matrix]
        if lengths and lengths != [N] * N:
            raise ValueError(f"got rows of {', '.join(map(str, lengths))} numbers; give {N} rows of {N}, or none")
        for agent, row in zip(self.game.agents, self.matrix, strict=False):
            if abs(sum(row) - 1.0) > ROUNDING:
                raise ValueError(f"the parts of the reward of {agent} sum to {sum(row):.6g}; they must sum to 1")
        return self

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        if not self.matrix:
            return nothing(transition.rewards), memory
        return _transferred(transition.rewards, np.array(self.matrix)), memory


def _several(game: Game) -> None:
    if len(game.agents) < 2:
        raise UsageError(f"rewards go from one agent to another; {type(game).__name__} has one, choose another game")


def _transferred(rewards: np.ndarray, matrix: np.ndarray) -> Ledger:
    """The ledger in which agent j gets the part `matrix[i, j]` of the reward of agent i; `rewards` (B, N)."""
    owed = matrix * rewards[:, :, None]  # by the payer (axis 1) to the payee (axis 2)
    transfers = np.maximum(owed - owed.transpose(0, 2, 1), 0.0).astype(np.float32)
    return nothing(rewards)._replace(transfers=transfers)
