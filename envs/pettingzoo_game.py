"""Any PettingZoo parallel environment as a game. Slow: its environments are Python objects, stepped one by one.

    @paymaster.register_game("pong")
    @configuration
    class Pong(PettingZooGame):
        presets: ClassVar = {"short": {}}
        horizon: int = 100

        def make_env(self):
            return pettingzoo.make("parallel", "butterfly/cooperative_pong-v6", max_cycles=self.horizon)

Then `pong/short` is a game as any other, for mechanisms that settle by rewards, recommendations or the agents' values.
No event has a name, so no contract can pay on one, and there is no table of states, so nothing exact is known.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from pydantic import Field

from ..core.config import UsageError
from .game import Scene, Sprite, legal


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    moments: np.ndarray  # (B,) objects of the class Moment


class Events(NamedTuple):
    """What happened in one step."""

    earned: np.ndarray  # (B, N) float32


class Spaces(NamedTuple):
    """What the environment says of itself, as a game says it."""

    agents: tuple[str, ...]
    observation: Box
    classes: int
    least: int  # what the class index 0 is called there
    actions: int
    first: int  # what the action 0 is called there


class PettingZooGame:
    """What every game around a PettingZoo environment shares; a game says how the environment is made (`make_env`).

    - observation: the environment's own. A Box as it is; a Discrete of n values as one class index, (1, 1).
    - actions: int (B, N), the environment's, numbered from 0, named by their numbers.
    - events: `earned` float32 (B, N), the environment's rewards.
    - reward: float32 (B, N), the same.
    - end: when nobody is left: terminated if all left by termination, else truncated. An agent that leaves before the
      others stays in the arrays: it sees zeros, earns nothing, and what it does is ignored. The `horizon` cuts what
      the environment does not end before.

    The environment holds the state, so this is a function over arrays only as far as the loop needs: an episode goes
    on from where it is, and to step from an earlier state is refused. An episode is seeded by its key, so it is the
    same again (replays, cut runs) if the environment draws from its seed alone. No two episodes share an environment.

    All agents must have the same spaces, a Box or a Discrete to see and a Discrete to act, and nobody may join later.
    To see what is not in its observation an agent needs a network of its own: `--set policies=separate`.
    """

    version: ClassVar[int] = 1
    truncates: ClassVar[bool] = True
    verifiable: ClassVar[tuple[str, ...]] = ()

    horizon: int = Field(default=100, ge=1)

    def make_env(self) -> ParallelEnv[str, np.ndarray, int]:
        """A new environment, whose state nobody else holds."""
        raise NotImplementedError

    # Agents, actions and spaces

    @cached_property
    def spaces(self) -> Spaces:
        """Raises UsageError where the environment is none that can be a game."""
        env = self.make_env()
        try:
            return _spaces(env, type(self).__name__)
        finally:
            env.close()

    @property
    def agents(self) -> tuple[str, ...]:
        return self.spaces.agents

    @property
    def observation_space(self) -> gym.spaces.Box:
        return self.spaces.observation

    @property
    def classes(self) -> int:
        return self.spaces.classes

    @property
    def action_names(self) -> tuple[str, ...]:
        return tuple(str(action) for action in range(self.spaces.actions))

    # The rules

    def reset(self, keys: np.ndarray) -> State:
        """New episodes; the environment of each is made when it is first looked at."""
        keys = np.ascontiguousarray(keys, np.uint64)
        return State(keys, np.zeros(keys.shape, np.int32), _objects([self._start(key) for key in keys]))

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, N).

        Raises UsageError where an action is none of `action_names`, and where the state is not an episode's latest.
        """
        actions = legal(actions, (len(state.t), len(self.agents)), self.action_names)
        moments = [moment.step(row) for moment, row in zip(state.moments, actions, strict=True)]
        earned = np.array([moment.earned for moment in moments], np.float32).reshape(actions.shape)
        return State(state.key, state.t + 1, _objects(moments)), Events(earned)

    def rewards(self, events: Events) -> np.ndarray:
        return events.earned

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: welfare, the sum of the agents' rewards."""
        return events.earned.sum(axis=1)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 0): nothing that happens has a name."""
        return np.zeros((*events.earned.shape, 0), np.float32)

    def terminated(self, state: State) -> np.ndarray:
        return np.array([moment.over and not moment.cut for moment in state.moments], np.bool_)

    def truncated(self, state: State) -> np.ndarray:
        """(B,) bool: where the environment cut the episode itself."""
        return np.array([moment.over and moment.cut for moment in state.moments], np.bool_)

    def _start(self, key: np.uint64) -> Moment:
        return Moment(Episode(self, key), np.zeros(len(self.agents), np.float32), ())

    # Observations

    def observe(self, state: State) -> np.ndarray:
        return np.stack([moment.seen for moment in state.moments])

    def world(self, state: State) -> np.ndarray:
        """What all agents see: (B, N * D) numbers, or (B, 1, N) class indices."""
        seen = self.observe(state)
        return seen.reshape(len(seen), *((1, -1) if self.classes else (-1,)))

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """A row for each agent, which stands at the action that it played."""
        moment, count = state.moments[index], len(self.action_names)
        words = [f"step {state.t[index]}"]
        if events is not None:
            words += [f"{name} {earned:+.4g}" for name, earned in zip(self.agents, events.earned[index], strict=True)]
        sprites = tuple(Sprite("agent", i, action, i) for i, action in enumerate(moment.played))
        return Scene(
            len(self.agents), count, ("." * count,) * len(self.agents), sprites, "; ".join(words), "choices",
            self.action_names,
        )  # fmt: skip


class Moment:
    """A moment of an episode. The environment stands at the latest one; an earlier one remembers what was seen."""

    def __init__(self, episode: Episode, earned: np.ndarray, played: tuple[int, ...]) -> None:
        self.episode = episode
        self.earned, self.played = earned, played  # (N,) in the step that led here
        self.t, self.over, self.cut = episode.t, episode.over, episode.cut

    @cached_property
    def seen(self) -> np.ndarray:
        """(N, *observation)."""
        return self.episode.seen

    def step(self, actions: np.ndarray) -> Moment:
        """The next moment, after `actions` (N,). What is seen now is noted first: the environment moves on."""
        if self.t != self.episode.t or self.over:
            raise UsageError(
                f"a PettingZoo environment goes on from its latest state alone: step {self.t} of an episode was to be "
                f"played again, which stands at step {self.episode.t}"
            )
        return Moment(self.episode, self.episode.step(self.seen, actions), tuple(actions.tolist()))


class Episode:
    """A PettingZoo environment from its seed to its end. Most starts are replaced before anybody looks at them."""

    def __init__(self, game: PettingZooGame, key: np.uint64) -> None:
        self.game, self.key = game, key
        self.t, self.over, self.cut = 0, False, False

    @cached_property
    def env(self) -> ParallelEnv[str, np.ndarray, int]:
        return self.game.make_env()

    @cached_property
    def seen(self) -> np.ndarray:
        """(N, *observation) at the latest moment."""
        observations, _ = self.env.reset(seed=int(self.key >> np.uint64(32)))  # NumPy's older generators take 32 bits
        if list(self.env.agents) != list(self.env.possible_agents):
            raise UsageError(
                f"{type(self.game).__name__} starts with {', '.join(map(str, self.env.agents))} of the agents "
                f"{', '.join(self.game.agents)}; all must be there from the start"
            )
        return self._rows(observations)

    def step(self, seen: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Play `actions` (N,) from what is `seen`; what each earned, (N,) float32."""
        names, first = self.env.possible_agents, self.game.spaces.first
        played = {name: action + first for name, action in zip(names, actions.tolist(), strict=True)}
        observations, rewards, _, truncated, _ = self.env.step({name: played[name] for name in self.env.agents})
        self.t += 1
        self.cut = self.cut or any(truncated.values())
        self.over = not self.env.agents
        self.seen = self._rows(observations)
        if self.over:
            self.env.close()
        return np.array([rewards.get(name, 0.0) for name in names], np.float32)

    def _rows(self, observations: dict[str, np.ndarray]) -> np.ndarray:
        """What each agent sees, zeros where it has left."""
        space, names = self.game.spaces.observation, self.env.possible_agents
        seen = np.zeros((len(names), *space.shape), space.dtype)
        for row, name in zip(seen, names, strict=True):
            if name in observations:
                row[...] = observations[name] - self.game.spaces.least if self.game.classes else observations[name]
        return seen


def _spaces(env: ParallelEnv[str, np.ndarray, int], name: str) -> Spaces:
    agents = list(getattr(env, "possible_agents", []))
    if not agents:
        raise UsageError(f"{name}: the environment has no possible_agents; the agents of a game are known beforehand")
    seen = [env.observation_space(agent) for agent in agents]
    acts = [env.action_space(agent) for agent in agents]
    for spaces, what in ((seen, "observation"), (acts, "action")):
        if any(space != spaces[0] for space in spaces):
            raise UsageError(
                f"{name}: the {what} spaces of {agents[0]} and of others differ; in a game they are the same for all "
                "(SuperSuit's pad_observations and pad_action_space make them so)"
            )
    if not isinstance(acts[0], Discrete):
        raise UsageError(f"{name}: the action space is {acts[0]}; a game has a Discrete one")
    acting, seeing = (int(acts[0].n), int(acts[0].start)), seen[0]
    if isinstance(seeing, Box):
        return Spaces(tuple(map(str, agents)), seeing, 0, 0, *acting)
    if isinstance(seeing, Discrete):
        classes = int(seeing.n)
        one = Box(0, classes - 1, (1, 1), np.int64)
        return Spaces(tuple(map(str, agents)), one, classes, int(seeing.start), *acting)
    raise UsageError(f"{name}: the observation space is {seeing}; a game has a Box or a Discrete one")


def _objects(moments: list[Moment]) -> np.ndarray:
    """(B,) objects."""
    array = np.empty(len(moments), object)
    array[:] = moments
    return array
