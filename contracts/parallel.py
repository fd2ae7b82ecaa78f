"""The PettingZoo views of a game under a mechanism: agents all at once or in turns, the principal among them or not."""

from __future__ import annotations

import time
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec_wrapper
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from ..core.config import UsageError
from ..envs.game import Game, Scene
from ..render import page as render
from ..render.page import Panel
from ..render.window import Window
from .core import Decisions, Mechanism
from .loop import Loop, Principal, Seen, Step
from .outcome_contract import OutcomeContract
from .recommendation import RecommendationContract

PRINCIPAL = "principal"
FPS = 4  # steps shown in a second by the window of "human"
RENDER_MODES = ("human", "rgb_array", "ansi")

Observations = dict[str, Any]
Infos = dict[str, dict[str, Any]]
Results = tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]


def view(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | Literal["agent"] | None = None,
    render_mode: str | None = None,
    *,
    alpha: float = 0.1,
    name: str = "paymaster",
) -> ParallelView:
    """The view in which all agents act at once: `ParallelView`, or `PrincipalView` where the principal is an agent.

    Raises UsageError where the mechanism needs a principal and gets none or the other way round, for an unknown
    `render_mode`, and for an `alpha` that is not above 0.
    """
    what = f"mechanism {type(mechanism).__name__}"
    if mechanism.principal and principal is None:
        raise UsageError(f"{what} needs a principal: principal='agent', or a function (game, state) -> Decisions")
    if principal is not None and not mechanism.principal:
        raise UsageError(f"principal is {principal!r}, and {what} has none; leave principal out")
    if not (principal is None or principal == "agent" or callable(principal)):
        raise UsageError(f"principal is {principal!r}; allowed: None, 'agent', a function (game, state) -> Decisions")
    if mechanism.needs_values:
        raise UsageError(f"{what} settles by what the agents expect, which a view does not know; leave it out")
    if render_mode not in (None, *RENDER_MODES):
        raise UsageError(f"render_mode is {render_mode!r}; allowed: None, {', '.join(map(repr, RENDER_MODES))}")
    if not alpha > 0:
        raise UsageError(f"alpha is {alpha}; it must be above 0, since what the principal values is divided by it")
    if principal == "agent":
        return PrincipalView(game, mechanism, None, render_mode, name=name, alpha=alpha)
    return ParallelView(game, mechanism, principal, render_mode, name=name)


def in_turns(parallel: ParallelView) -> AECEnv:
    """The same game in turns: the agents act one after the other, in order, without seeing each other's action.

    A principal that is an agent acts first, and the others see its terms when they act.
    """
    kind = _PrincipalFirst if isinstance(parallel, PrincipalView) else parallel_to_aec_wrapper
    return OrderEnforcingWrapper(kind(parallel))


class ParallelView(ParallelEnv):
    """One environment of a game under a mechanism, as a PettingZoo `ParallelEnv`; it plays `Loop`.

    - observation: the game's. Where the mechanism offers terms, `{"observation": ..., "terms": ...}`, with what the
      agent is shown of its terms for the coming step, float32 (K,).
    - reward: what the agent earns, the environment's reward and the mechanism's income together.
    - `infos[agent]` after a step: its parts, `reward` (from the environment alone), `payment` (from the principal),
      `transfer` (net, received minus given) and `shaping`.
    - end: `terminations` at a natural end, `truncations` at a horizon that cuts; never both. The last observation is
      that of the state in which the episode ended. Then `agents` is empty.
    - `reset(seed)` starts the first episode of that seed, `reset()` the next one; the same seed and actions give the
      same episodes.

    Raises UsageError for actions that are missing, unknown or not in the action space, and before the first `reset`.
    """

    def __init__(
        self, game: Game, mechanism: Mechanism, principal: Principal | None, render_mode: str | None, *, name: str
    ) -> None:
        self.game, self.mechanism, self.principal = game, mechanism, principal
        self.render_mode = render_mode
        self.name = name
        self.metadata = {"name": name, "render_modes": list(RENDER_MODES), "is_parallelizable": True, "render_fps": FPS}
        self.possible_agents = list(game.agents)
        self.agents: list[str] = []
        self.state_space = _world_space(game)
        self._observation_spaces: dict[str, gym.Space[Any]] = dict.fromkeys(
            game.agents, _observation_space(game, mechanism)
        )
        self._action_spaces: dict[str, gym.Space[Any]] = {
            agent: Discrete(len(game.action_names)) for agent in game.agents
        }
        self._seed: int | None = None
        self._episode = 0
        self._loop: Loop | None = None
        self._window: Window | None = None

    def observation_space(self, agent: str) -> gym.Space[Any]:
        """The space of what `agent` observes; the same object every time."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space[Any]:
        """The space of what `agent` does; the same object every time."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, Infos]:
        """Start the first episode of `seed`, or without one the next episode. `options` are not used."""
        if seed is None and self._seed is not None:
            self._episode += 1
        else:
            self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
            self._episode = 0
        self._loop = self._begin(self._seed, self._episode)
        self._state, self._events = self._loop.state, None
        self.agents = list(self.possible_agents)
        self._show()
        return self._observations(self._loop.seen), self._infos(None)

    def step(self, actions: dict[str, Any]) -> Results:
        """Play one action for each agent."""
        loop = self._running()
        if not self.agents:
            return {}, {}, {}, {}, {}
        for agent in actions:
            if agent not in self.agents:
                raise UsageError(f"an action came for {agent!r}; those that act are {', '.join(self.agents)}")
        due = self._due()
        for agent in due:
            if agent not in actions:
                raise UsageError(f"no action came for {agent!r}; {', '.join(due)} must act")
        results = self._advance(loop, {agent: self._legal(agent, actions[agent]) for agent in due})
        self._show()
        return results

    def state(self) -> np.ndarray:
        """`game.world`: all there is to see."""
        self._running()
        return self.game.world(self._state)[0]

    def render(self) -> Any:
        """The picture (rows, columns, 3) uint8 for "rgb_array", text for "ansi", None for "human": it has a window."""
        self._running()
        if self.render_mode is None:
            raise UsageError(f"render_mode is None; to render, make the view with one of {', '.join(RENDER_MODES)}")
        if self.render_mode == "human":
            return None
        shown = render.text if self.render_mode == "ansi" else render.picture
        return shown(self._scene(), panel=self._panel())

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    # What a view changes whose principal is an agent

    def _begin(self, seed: int, episode: int) -> Loop:
        return Loop(self.game, self.mechanism, 1, seed=seed, stream=episode, principal=self.principal)

    def _due(self) -> list[str]:
        """Those whose action the coming step reads."""
        return self.agents

    def _advance(self, loop: Loop, actions: dict[str, Any]) -> Results:
        step = loop.step(np.array([[actions[agent] for agent in self.game.agents]]))
        moved = step.transition
        self._state, self._events = moved.next_state, moved.events
        terminations = dict.fromkeys(self.agents, bool(moved.terminated[0]))
        truncations = dict.fromkeys(self.agents, bool(moved.truncated[0]))
        if step.ended[0]:
            self.agents = []
        return self._observations(step.seen), self._rewards(step), terminations, truncations, self._infos(step)

    def _observations(self, seen: Seen) -> Observations:
        each = dict(zip(self.game.agents, seen.observations[0], strict=True))
        if not self.mechanism.terms_size:
            return each
        return {
            agent: {"observation": each[agent], "terms": terms}
            for agent, terms in zip(self.game.agents, seen.terms[0], strict=True)
        }

    def _rewards(self, step: Step) -> dict[str, float]:
        return dict(zip(self.game.agents, step.earned[0].tolist(), strict=True))

    def _infos(self, step: Step | None) -> Infos:
        """The parts of each agent's reward; nothing before the first `step`."""
        if step is None:
            return {agent: {} for agent in self.game.agents}
        ledger = step.ledger
        parts = zip(
            step.transition.rewards[0].tolist(), ledger.payments[0].tolist(),
            ledger.received()[0].tolist(), ledger.shaping[0].tolist(), strict=True,
        )  # fmt: skip
        names = ("reward", "payment", "transfer", "shaping")
        return {
            agent: dict(zip(names, amounts, strict=True))
            for agent, amounts in zip(self.game.agents, parts, strict=True)
        }

    # Checks and pictures

    def _running(self) -> Loop:
        if self._loop is None:
            raise UsageError("there is no episode yet; call reset() first")
        return self._loop

    def _legal(self, agent: str, action: Any) -> Any:
        """The action as the loop takes it. Raises UsageError where it is not allowed."""
        if not self._action_spaces[agent].contains(action):
            names = ", ".join(f"{number} ({name})" for number, name in enumerate(self.game.action_names))
            raise UsageError(f"the action of {agent} is {action!r}; allowed: {names}")
        return int(action)

    def _scene(self) -> Scene:
        """What there is to see now; while the episode runs, with the action that is recommended to each agent."""
        scene = self.game.scene(self._state, self._events, 0)
        terms = self._running().terms
        if self.agents and isinstance(terms, Decisions):
            return render.recommended(scene, [self.game.action_names[action] for action in terms.recommended[0]])
        return scene

    def _panel(self) -> Panel | None:
        """What is recommended to each agent and what following is said to pay, if the mechanism recommends."""
        if not isinstance(self.mechanism, RecommendationContract):
            return None
        terms = self._running().terms
        known = bool(self.agents) and isinstance(terms, Decisions)
        names = [name.replace("_", " ") for name in self.game.action_names]
        rows = [
            (agent, names[terms.recommended[0, i]], _amount(terms.promised[0, i])) if known else (agent, "", "")
            for i, agent in enumerate(self.game.agents)
        ]
        holds = self.game.agents, tuple(names), (_amount(np.zeros(self._promises)),)
        return Panel(("agent", "advised", "for"), holds, tuple(rows))

    @property
    def _promises(self) -> int:
        """How many amounts are promised to an agent."""
        return len(self.game.verifiable) if isinstance(self.mechanism, OutcomeContract) else 1

    def _show(self) -> None:
        """Show the window of "human", long enough to be seen."""
        if self.render_mode == "human":
            self._window = self._window or Window(self.name, "make the view with render_mode='rgb_array' or 'ansi'")
            self._window.show(render.picture(self._scene(), panel=self._panel()))
            time.sleep(1 / FPS)


class PrincipalView(ParallelView):
    """A `ParallelView` in which the principal is an agent too: the first, `"principal"`.

    The principal moves before the others, who see its terms when they move. So a step of the game takes two steps
    here, and `infos[name]["due"]` says whose action the coming step reads; the others' are ignored and may be left out.

    1. The principal sees `game.world` and acts `{"recommended": ints (N,), "promised": floats >= 0 (N,)}`, which is
       (N, K) where a contract prices each of K verifiable facts; `{"promised": ...}` alone where it recommends nothing.
       Where what was promised before still holds, the action changes nothing. All rewards
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
        self._action_spaces[PRINCIPAL] = _decision_space(mechanism)
        self._promised = False  # whether terms stand for the coming step of the game

    def _begin(self, seed: int, episode: int) -> Loop:
        self._promised = False
        return _AskedLoop(self.game, self.mechanism, 1, seed=seed, stream=episode)

    def _due(self) -> list[str]:
        return list(self.game.agents) if self._promised else [PRINCIPAL]

    def _advance(self, loop: Loop, actions: dict[str, Any]) -> Results:
        if self._promised:
            self._promised = False
            return super()._advance(loop, actions)
        assert isinstance(loop, _AskedLoop)
        loop.promise(actions[PRINCIPAL])
        self._promised = True
        still = dict.fromkeys(self.agents, False)
        return self._observations(loop.seen), dict.fromkeys(self.agents, 0.0), still, dict(still), self._infos(None)

    def _legal(self, agent: str, action: Any) -> Any:
        return _decided(self.mechanism, action) if agent == PRINCIPAL else super()._legal(agent, action)

    def _observations(self, seen: Seen) -> Observations:
        return {PRINCIPAL: self.game.world(self._state)[0], **super()._observations(seen)}

    def _rewards(self, step: Step) -> dict[str, float]:
        value = self.game.principal_reward(step.transition.events)[0]
        return {PRINCIPAL: float(value / self.alpha - step.ledger.payments.sum()), **super()._rewards(step)}

    def _infos(self, step: Step | None) -> Infos:
        own: dict[str, Any] = {}
        if step is not None:
            value = self.game.principal_reward(step.transition.events)[0]
            own = {"reward": float(value), "paid": float(step.ledger.payments.sum())}
        infos = {PRINCIPAL: own, **super()._infos(step)}
        return {agent: {**parts, "due": agent in self._due()} for agent, parts in infos.items()}


class _AskedLoop(Loop):
    """A loop whose principal stands outside: no terms are offered until it says so by `promise`."""

    def promise(self, decisions: Decisions) -> None:
        """Offer the terms of the coming step; must come before each `step`."""
        self.terms, self.memory = self.mechanism.offer(self.memory, self.state, decisions)
        self.seen = self.seen._replace(terms=self.mechanism.view(self.terms, self.B))

    def _offer(self, state: Any, memory: Any) -> tuple[Any, Any, Seen]:
        unknown = np.zeros((self.B, self.N, self.mechanism.terms_size), np.float32)
        return None, memory, Seen(self.game.observe(state), unknown)


class _PrincipalFirst(parallel_to_aec_wrapper):
    """A `PrincipalView` in turns: what the principal promises is seen by those that act after it."""

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if agent != PRINCIPAL or self.terminations[agent] or self.truncations[agent]:
            super().step(action)
            return
        observations, _, _, _, infos = self.env.step({PRINCIPAL: action})
        super().step(action)
        self._observations, self.infos = observations, infos


def _decided(mechanism: Mechanism, action: Any) -> Decisions:
    """What the principal's action says, for one environment."""
    shape, count = (len(mechanism.game.agents),), len(mechanism.game.action_names)
    priced, parts = mechanism.promised_shape, list(_decision_space(mechanism))
    if not isinstance(action, dict) or set(action) != set(parts):
        named = " and ".join(map(repr, reversed(parts)))
        raise UsageError(f"the action of {PRINCIPAL} is {action!r}; it must be a dict of {named}")
    action = {"recommended": np.zeros(shape, np.int64), **action}
    recommended, promised = np.asarray(action["recommended"]), np.asarray(action["promised"])
    within = recommended.dtype.kind in "iu" and ((recommended >= 0) & (recommended < count)).all()
    if recommended.shape != shape or not within:
        raise UsageError(f"recommended is {action['recommended']!r}; allowed: integers {shape} from 0 to {count - 1}")
    payable = promised.dtype.kind in "iuf" and (np.isfinite(promised) & (promised >= 0)).all()
    if promised.shape != priced or not payable:
        raise UsageError(f"promised is {action['promised']!r}; allowed: finite numbers {priced}, 0 or more")
    return Decisions(recommended[None].astype(np.int64), promised[None].astype(np.float32))


def _observation_space(game: Game, mechanism: Mechanism) -> gym.Space[Any]:
    if not mechanism.terms_size:
        return game.observation_space
    terms = Box(-np.inf, np.inf, (mechanism.terms_size,), np.float32)
    return Dict({"observation": game.observation_space, "terms": terms})


def _decision_space(mechanism: Mechanism) -> Dict:
    N, count = len(mechanism.game.agents), len(mechanism.game.action_names)
    promised = Box(0, np.inf, mechanism.promised_shape, np.float32)
    if not isinstance(mechanism, RecommendationContract):
        return Dict({"promised": promised})
    return Dict({"recommended": MultiDiscrete([count] * N), "promised": promised})


def _amount(promised: np.ndarray) -> str:
    """What is promised, for one thing or for each of several."""
    return " / ".join(f"{amount:5.2f}" for amount in np.atleast_1d(promised))


def _world_space(game: Game) -> Box:
    """All values of the array's type: a game does not say more of its world."""
    world = game.world(game.reset(np.zeros(1, np.uint64)))[0]
    if world.dtype.kind in "iu":
        limits = np.iinfo(world.dtype)
        return Box(int(limits.min), int(limits.max), world.shape, world.dtype)
    return Box(-np.inf, np.inf, world.shape, world.dtype)
