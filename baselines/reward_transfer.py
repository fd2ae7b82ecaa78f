"""Agents that give away shares of their rewards: all the same share, or as a matrix says (Willis and Luck 2023).

`equilibria/normal_form/transfer_levels.py` computes the least that agents must give away so that cooperating is
dominant.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import UsageError, configuration
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game
from ..equilibria.normal_form.transfer_levels import symmetric_transfers

Part = Annotated[float, Field(ge=0, le=1)]

ROUNDING = 1e-6  # by how much the shares of a reward may miss one


@configuration
class SymmetricTransfer(Mechanism):
    """Agent `i` earns `s r_i + (1 - s) / (N - 1) sum_{j != i} r_j`. Transfers: they sum to zero.

    Each agent keeps the share `s` of its reward, and the others get equal shares of the rest. `s = 1` is selfish,
    `s = 1 / N` an equal split. This is the transfer matrix with `s` on the diagonal, and it moves money as that does.
    Willis and Luck 2023 (arXiv:2310.12928).
    """

    self_interest: Part = 0.5
    """s, the share of its reward that each agent keeps."""

    tuned: ClassVar[SearchSpace] = {"self_interest": Range(0.25, 1.0)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        _several(self.game)
        return self

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        matrix = symmetric_transfers(transition.rewards.shape[1], self.self_interest)
        return _transferred(transition.rewards, matrix), memory


@configuration
class TransferMatrix(Mechanism):
    """Agent `i` earns `sum_j r_j T_ji`, its share of everyone's reward. Transfers: they sum to zero.

    An agent that gets a share of a loss bears it: it pays that share to the agent that made the loss. What two agents
    owe each other is set off, so `i` pays `max(T_ij r_i - T_ji r_j, 0)` to `j`, and money never goes both ways, as in
    the constant share. The paper moves rewards and leaves open how. Willis and Luck 2023 (arXiv:2310.12928).
    """

    matrix: tuple[tuple[Part, ...], ...] = ()
    """T, with a row for each agent: the share of its reward that each agent gets. Each row sums to one. Without rows,
    each agent keeps all of its reward."""

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
            return Ledger.zeros(*transition.rewards.shape), memory
        return _transferred(transition.rewards, np.array(self.matrix)), memory


def _several(game: Game) -> None:
    if len(game.agents) < 2:
        raise UsageError(f"rewards go from one agent to another; {type(game).__name__} has one, choose another game")


def _transferred(rewards: np.ndarray, matrix: np.ndarray) -> Ledger:
    """The ledger in which agent j gets the share `matrix[i, j]` of the reward of agent i; `rewards` (B, N)."""
    owed = matrix * rewards[:, :, None]  # by the payer (axis 1) to the payee (axis 2)
    transfers = np.maximum(owed - owed.transpose(0, 2, 1), 0.0).astype(np.float32)
    return Ledger.zeros(*rewards.shape)._replace(transfers=transfers)
