"""The PettingZoo views of a game under a mechanism: agents all at once or in turns, the principal among them or not."""

from __future__ import annotations

import time
from collections.abc import Mapping

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete
from pettingzoo import ParallelEnv

from ..contracts.loop import AgentView, Loop, Principal, Simulation, Step
from ..contracts.mechanism import Decisions, Mechanism, Summary
from ..contracts.outcomes import OutcomeContract
from ..contracts.recommendation import RecommendationContract
from ..core.config import UsageError
from ..envs.game import Game, Scene
from ..render import page as render
from ..render.page import Panel
from ..render.window import Window
from .spaces import agent_space, world_space

FPS = 4  # steps shown in a second by the window of "human"
RENDER_MODES = ("human", "rgb_array", "ansi")

Observation = np.ndarray | dict[str, np.ndarray]  # with terms, a dict of `observation` and `terms`
Observations = dict[str, Observation]
Infos = dict[str, dict[str, float]]
Results = tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]


class ParallelView(ParallelEnv):
    """One environment of a game under a mechanism, as a PettingZoo `ParallelEnv`; it plays `Loop`.

    - observation: the game's. Where the mechanism offers terms, `{"observation": ..., "terms": ...}`, with the
      agent's view of its terms for the coming step, float32 (K,).
    - reward: what the agent earns, the environment's reward and the mechanism's income together.
    - `infos[agent]` after a step: its parts, `reward` (from the environment alone), `payment` (from the principal),
      `tax` (to it), `transfer` (net, received minus given) and `shaping`.
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
        self.state_space = world_space(game)
        self._observation_spaces: dict[str, gym.Space[object]] = dict.fromkeys(
            game.agents, agent_space(game, mechanism)
        )
        self._action_spaces: dict[str, gym.Space[object]] = {
            agent: Discrete(len(game.action_names)) for agent in game.agents
        }
        self._seed: int | None = None
        self._episode = 0
        self._loop: Loop | None = None
        self._window: Window | None = None

    def observation_space(self, agent: str) -> gym.Space[object]:
        """The space of what `agent` observes; the same object every time."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space[object]:
        """The space of what `agent` does; the same object every time."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[Observations, Infos]:
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

    def step(self, actions: Mapping[str, object]) -> Results:
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
        """`game.world`: the global state."""
        self._running()
        return self.game.world(self._state)[0]

    def render(self) -> np.ndarray | str | None:
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
        return Simulation(self.game, self.mechanism, 1, seed=seed, stream=episode, principal=self.principal)

    def _due(self) -> list[str]:
        """The agents whose actions the coming step reads."""
        return self.agents

    def _advance(self, loop: Loop, actions: dict[str, int | Decisions]) -> Results:
        step = loop.step(np.array([[actions[agent] for agent in self.game.agents]]))
        moved = step.transition
        self._state, self._events = moved.next_state, moved.events
        terminations = dict.fromkeys(self.agents, bool(moved.terminated[0]))
        truncations = dict.fromkeys(self.agents, bool(moved.truncated[0]))
        if step.ended[0]:
            self.agents = []
        return (
            self._observations(self._following(loop, step)),
            self._rewards(step),
            terminations,
            truncations,
            self._infos(step),
        )

    def _following(self, loop: Loop, step: Step) -> AgentView:
        """The agents' view after a step; in a final state, with the terms that would be offered there."""
        assert isinstance(loop, Simulation)
        return loop.seen_after(step)

    def _observations(self, seen: AgentView) -> Observations:
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
            ledger.taxes[0].tolist(), ledger.received()[0].tolist(), ledger.shaping[0].tolist(), strict=True,
        )  # fmt: skip
        names = ("reward", "payment", "tax", "transfer", "shaping")
        return {
            agent: dict(zip(names, amounts, strict=True))
            for agent, amounts in zip(self.game.agents, parts, strict=True)
        }

    # Checks and pictures

    def _running(self) -> Loop:
        if self._loop is None:
            raise UsageError("there is no episode yet; call reset() first")
        return self._loop

    def _legal(self, agent: str, action: object) -> int | Decisions:
        """The action as the loop takes it. Raises UsageError where it is not allowed."""
        if not self._action_spaces[agent].contains(action):
            names = ", ".join(f"{number} ({name})" for number, name in enumerate(self.game.action_names))
            raise UsageError(f"the action of {agent} is {action!r}; allowed: {names}")
        return int(np.asarray(action))

    def _scene(self) -> Scene:
        """The current scene; while the episode runs, with the action that is recommended to each agent."""
        scene, summary = self.game.scene(self._state, self._events, 0), self._summary()
        if summary is None or (summary.recommended < 0).any():
            return scene
        return render.recommended(scene, [self.game.action_names[action] for action in summary.recommended[0]])

    def _panel(self) -> Panel | None:
        """The recommendation to each agent and the promised payment, if the mechanism recommends."""
        if not isinstance(self.mechanism, RecommendationContract):
            return None
        summary = self._summary()
        names = [name.replace("_", " ") for name in self.game.action_names]
        rows = [
            (agent, names[summary.recommended[0, i]], _amount(summary.promised[0, i])) if summary else (agent, "", "")
            for i, agent in enumerate(self.game.agents)
        ]
        holds = self.game.agents, tuple(names), (_amount(np.zeros(self._promises)),)
        return Panel(("agent", "advised", "for"), holds, tuple(rows))

    def _summary(self) -> Summary | None:
        """The terms of the coming step for people; None where the episode is over or nothing is offered yet."""
        loop = self._running()
        return self.mechanism.summary(loop.terms, 1) if self.agents and loop.terms is not None else None

    @property
    def _promises(self) -> int:
        """The number of amounts promised to an agent."""
        return len(self.game.verifiable) if isinstance(self.mechanism, OutcomeContract) else 1

    def _show(self) -> None:
        """Show the window of "human" for the duration of a frame."""
        if self.render_mode == "human":
            self._window = self._window or Window(self.name, "make the view with render_mode='rgb_array' or 'ansi'")
            self._window.show(render.picture(self._scene(), panel=self._panel()))
            time.sleep(1 / FPS)


def _amount(promised: np.ndarray) -> str:
    """The promised amount, or the amounts for each of several facts."""
    return " / ".join(f"{amount:5.2f}" for amount in np.atleast_1d(promised))
