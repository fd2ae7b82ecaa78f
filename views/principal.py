"""The view in which the principal is an agent too, and acts before the others."""

from __future__ import annotations

import numpy as np
from pettingzoo.utils.conversions import parallel_to_aec_wrapper

from ..contracts.loop import AgentView, Loop, Step
from ..contracts.mechanism import Decisions, Mechanism
from ..core.config import UsageError
from ..envs.game import Game
from .parallel import Infos, Observations, ParallelView, Results
from .spaces import decision_space

PRINCIPAL = "principal"


class PrincipalView(ParallelView):
    """A `ParallelView` in which the principal is an agent too: the first, `"principal"`.

    The principal moves before the others, who see its terms when they move. So a step of the game takes two steps
    here, and `infos[name]["due"]` says whose action the coming step reads; the others' are ignored and may be left out.

    1. The principal sees `game.world` and acts `{"recommended": ints (N,), "promised": floats >= 0 (N,)}`, which is
       (N, K) where a contract prices each of K verifiable facts; `{"promised": ...}` alone where it recommends nothing.
       Pay for following may be contingent on what the others do: `promised` (N, A^(N-1)), by their joint action.
       Where earlier terms still hold, the action changes nothing. All rewards
       are 0, the game stands still, and what the agents observe now carries the terms; before, they are zeros.
    2. The agents act and the game moves. The principal earns `game.principal_reward / alpha - payments`;
       `infos["principal"]` has the two as `reward` and `paid`.

    So the principal decides on the very state that its terms are for, as a `Principal` function does: fed that
    function's decisions it gives the same episode. The view in turns asks each once for a step of the game.
    """

    def __init__(
        self,
        game: Game,
        mechanism: Mechanism,
        principal: None,
        render_mode: str | None,
        *,
        name: str,
        alpha: float,
    ) -> None:
        super().__init__(game, mechanism, principal, render_mode, name=name)
        self.alpha = alpha
        self.possible_agents = [PRINCIPAL, *game.agents]
        self._observation_spaces[PRINCIPAL] = self.state_space
        self._action_spaces[PRINCIPAL] = decision_space(mechanism)
        self._promised = False  # whether terms stand for the coming step of the game

    def _begin(self, seed: int, episode: int) -> Loop:
        self._promised = False
        return Loop(self.game, self.mechanism, 1, seed=seed, stream=episode)

    def _due(self) -> list[str]:
        return list(self.game.agents) if self._promised else [PRINCIPAL]

    def _advance(self, loop: Loop, actions: dict[str, int | Decisions]) -> Results:
        if self._promised:
            self._promised = False
            return super()._advance(loop, actions)
        decisions = actions[PRINCIPAL]
        assert isinstance(decisions, Decisions)
        loop.offer(decisions)
        self._promised = True
        still = dict.fromkeys(self.agents, False)
        return self._observations(loop.seen), dict.fromkeys(self.agents, 0.0), still, dict(still), self._infos(None)

    def _following(self, loop: Loop, step: Step) -> AgentView:
        """The agents' view after a step, before the principal offers its terms."""
        return loop.following(step, np.zeros(1, bool))

    def _legal(self, agent: str, action: object) -> int | Decisions:
        return _decided(self.mechanism, action) if agent == PRINCIPAL else super()._legal(agent, action)

    def _observations(self, seen: AgentView) -> Observations:
        return {PRINCIPAL: self.game.world(self._state)[0], **super()._observations(seen)}

    def _rewards(self, step: Step) -> dict[str, float]:
        value = self.game.principal_reward(step.transition.events)[0]
        return {PRINCIPAL: float(value / self.alpha - step.ledger.payments.sum()), **super()._rewards(step)}

    def _infos(self, step: Step | None) -> Infos:
        own: dict[str, float] = {}
        if step is not None:
            value = self.game.principal_reward(step.transition.events)[0]
            own = {"reward": float(value), "paid": float(step.ledger.payments.sum())}
        infos = {PRINCIPAL: own, **super()._infos(step)}
        return {agent: {**parts, "due": agent in self._due()} for agent, parts in infos.items()}


class PrincipalFirst(parallel_to_aec_wrapper):
    """A `PrincipalView` in turns: the agents see the principal's terms, since they act after it."""

    def step(self, action: object) -> None:
        agent = self.agent_selection
        if agent != PRINCIPAL or self.terminations[agent] or self.truncations[agent]:
            super().step(action)
            return
        observations, _, _, _, infos = self.env.step({PRINCIPAL: action})
        super().step(action)
        self._observations, self.infos = observations, infos


def _decided(mechanism: Mechanism, action: object) -> Decisions:
    """The principal's action as decisions for one environment."""
    shape, count = (len(mechanism.game.agents),), len(mechanism.game.action_names)
    priced, parts = mechanism.promised_shapes, list(decision_space(mechanism))
    if not isinstance(action, dict) or set(action) != set(parts):
        named = " and ".join(map(repr, reversed(parts)))
        raise UsageError(f"the action of {PRINCIPAL} is {action!r}; it must be a dict of {named}")
    action = {"recommended": np.zeros(shape, np.int64), **action}
    recommended, promised = np.asarray(action["recommended"]), np.asarray(action["promised"])
    within = recommended.dtype.kind in "iu" and ((recommended >= 0) & (recommended < count)).all()
    if recommended.shape != shape or not within:
        raise UsageError(f"recommended is {action['recommended']!r}; allowed: integers {shape} from 0 to {count - 1}")
    low, high = mechanism.promised_bounds
    payable = promised.dtype.kind in "iuf" and (np.isfinite(promised) & (promised >= low) & (promised <= high)).all()
    if promised.shape not in priced or not payable:
        allowed = " or ".join(map(str, priced))
        bounds = f"{low:g} or more" if high == np.inf else f"{low:g} to {high:g}"
        raise UsageError(f"promised is {action['promised']!r}; allowed: finite numbers {allowed}, {bounds}")
    return Decisions(recommended[None].astype(np.int64), promised[None].astype(np.float32))
