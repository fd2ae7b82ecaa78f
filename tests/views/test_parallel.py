"""The PettingZoo views: their API, whole episodes, money and terms, and the principal as an agent."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pettingzoo
import pytest

from paymaster import UsageError, env, make, make_mechanism, parallel_env
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Decisions
from paymaster.envs import family, games
from paymaster.envs.game import Game
from paymaster.render.page import text
from paymaster.render.window import Window

from ..envs.plain_game import PlainGame

with warnings.catch_warnings():  # PettingZoo's own tests import one of its environments in a way it deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import api_test, parallel_api_test

MUCH, LITTLE, LOSE, LEAVE = range(4)
GAME = PlainGame(horizon=3)

# What PettingZoo's tests warn of and why it stands; every other warning is an error.
PLAYERS_HAVE_COLOURS = "We recommend agents to be named in the format <descriptor>_<number>"  # red, blue: as in papers
TERMS_BESIDE = "Observation is not a NumPy array"  # {"observation", "terms"}: two things, kept apart
NOT_A_BOX = "Observation space for each agent probably should be"  # the same
PRINCIPAL_DIFFERS = (  # the principal sees the world and decides for all: its spaces are not an agent's
    "The class of observation spaces is different|Agents have different observation space sizes"
    "|Observations between agents are different classes|Observations are different shapes"
    "|Observations have different number of dimensions"
    "|Action space for each agent probably should be|Agent's m..imum observation space value is -?infinity"
)
NOTHING_TO_SEE = "Observation numpy array is all zeros"  # no terms are offered before the principal acts


def follow(game: Game, state: Any) -> Decisions:
    """A principal whose decisions depend on the state: a move from the draw of the step, and pay for it."""
    world = game.world(state).reshape(len(state.key), -1).astype(np.float64)
    number = (world @ np.arange(1, world.shape[1] + 1) * 97).astype(np.int64)
    N, count = len(game.agents), len(game.action_names)
    recommended = (number[:, None] + np.arange(N)) % count
    return Decisions(recommended, (0.1 * (1 + recommended)).astype(np.float32))


def allow(*patterns: str) -> None:
    for pattern in patterns:
        warnings.filterwarnings("ignore", f"({pattern})", UserWarning)


# The API


@pytest.mark.parametrize("id", games())
def test_every_game_passes_pettingzoos_tests(id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(parallel_env(id), num_cycles=200)
        allow(PLAYERS_HAVE_COLOURS)
        api_test(env(id), num_cycles=200)


@pytest.mark.parametrize("mechanism", ["joint", "constant-share", "drawn-contract", "inequity-aversion"])
def test_mechanisms_pass_pettingzoos_tests(mechanism: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(parallel_env("coin_game/ivanov-3x3", mechanism), num_cycles=100)
        allow(PLAYERS_HAVE_COLOURS, TERMS_BESIDE, NOT_A_BOX)
        api_test(env("coin_game/ivanov-3x3", mechanism), num_cycles=100)


@pytest.mark.parametrize("principal", [follow, "agent"])
def test_principals_pass_pettingzoos_tests(principal: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(parallel_env("coin_game/ivanov-3x3", "principal-dqn", principal), num_cycles=100)
        allow(PLAYERS_HAVE_COLOURS, TERMS_BESIDE, NOT_A_BOX, PRINCIPAL_DIFFERS)
        api_test(env("coin_game/ivanov-3x3", "principal-dqn", principal), num_cycles=100)


@pytest.mark.parametrize("id", games())
def test_pettingzoo_finds_every_game(id: str) -> None:
    versioned = f"{id}-v{family(id.partition('/')[0]).version}"
    parallel = pettingzoo.make("parallel", versioned, mechanism="joint")
    assert str(parallel) == versioned
    assert parallel.mechanism == make_mechanism("joint", make(id))
    assert pettingzoo.make("aec", versioned).unwrapped.game == make(id)


def test_pettingzoos_make_takes_rules() -> None:
    made = pettingzoo.make("parallel", "coin_game/ivanov-7x7-v1", grid_size=4, players=3)
    assert made.possible_agents == ["red", "blue", "green"]
    assert made.observation_space("red").shape == (4, 4, 4)


# Whole episodes


def whole(view: Any, seed: int | None, actions: np.random.Generator) -> list[Any]:
    """All that is seen of an episode, from its reset to its last observation."""
    record: list[Any] = [view.reset(seed=seed)]
    while view.agents:
        record.append(view.step({agent: int(actions.integers(view.action_space(agent).n)) for agent in view.agents}))
    return record


@pytest.mark.parametrize("id", games())
def test_the_same_seed_gives_the_same_episodes_to_the_end(id: str) -> None:
    remembers = "drawn-contract" if id.startswith("coin_game/") else "inequity-aversion"
    mechanism = remembers if len(make(id).agents) > 1 else "funded-share"
    one, other = parallel_env(id, mechanism), parallel_env(id, mechanism)
    whole(other, 99, np.random.default_rng(5))  # what was played before does not matter
    for seed in (3, None, None, 3):
        first = whole(one, seed, np.random.default_rng(0))
        np.testing.assert_equal(first, whole(other, seed, np.random.default_rng(0)))
        terminations, truncations = first[-1][2:4]
        assert len(first) == make(id).horizon + 1 or (len(first) <= make(id).horizon and all(terminations.values()))
        assert all(terminations[agent] != truncations[agent] for agent in one.possible_agents)


def test_episodes_of_a_seed_differ_and_so_do_seeds() -> None:
    view = parallel_env(GAME)
    seen = [view.reset(seed)[0]["agent_0"][0] for seed in (1, None, None, 2, None)]
    assert len(set(seen)) == 5
    assert parallel_env(GAME).reset()[0]["agent_0"][0] != parallel_env(GAME).reset()[0]["agent_0"][0]


def test_a_cut_truncates_and_a_natural_end_terminates() -> None:
    view = parallel_env(GAME)
    view.reset(seed=0)
    for _ in range(3):
        observations, _, terminations, truncations, _ = view.step({"agent_0": MUCH, "agent_1": MUCH})
    assert view.agents == []
    assert truncations == {"agent_0": True, "agent_1": True}
    assert terminations == {"agent_0": False, "agent_1": False}
    np.testing.assert_array_equal(view.state(), observations["agent_0"][:1])  # the last state, not the next reset's
    assert view.step({}) == ({}, {}, {}, {}, {})

    view.reset(seed=0)
    _, _, terminations, truncations, _ = view.step({"agent_0": LEAVE, "agent_1": LEAVE})
    assert view.agents == []
    assert terminations == {"agent_0": True, "agent_1": True}
    assert truncations == {"agent_0": False, "agent_1": False}


def test_the_last_observation_is_that_of_the_last_state() -> None:
    view, game = parallel_env("coin_game/ivanov-3x3"), make("coin_game/ivanov-3x3")
    loop = Simulation(game, make_mechanism("selfish", game), 1, seed=11)
    record = whole(view, 11, np.random.default_rng(2))
    actions = np.random.default_rng(2)
    for seen, rewards, *_ in record[1:]:
        step = loop.step(np.array([[int(actions.integers(4)) for _ in game.agents]]))
        np.testing.assert_array_equal(seen["red"], game.observe(step.transition.next_state)[0, 0])
        np.testing.assert_array_equal(list(rewards.values()), step.earned[0])
    assert record[-1][3] == {"red": True, "blue": True}


# Money and terms


def test_rewards_are_what_is_earned_and_infos_their_parts() -> None:
    view = parallel_env(GAME, make_mechanism("constant-share", GAME, share=0.5))
    view.reset(seed=0)
    _, rewards, _, _, infos = view.step({"agent_0": MUCH, "agent_1": LITTLE})
    assert rewards == pytest.approx({"agent_0": 0.8125, "agent_1": 0.4375})
    assert infos["agent_0"] == {"reward": 1.0, "payment": 0.0, "tax": 0.0, "transfer": -0.1875, "shaping": 0.0}
    assert infos["agent_1"] == {"reward": 0.25, "payment": 0.0, "tax": 0.0, "transfer": 0.1875, "shaping": 0.0}

    view = parallel_env(GAME, "joint")
    view.reset(seed=0)
    _, rewards, _, _, infos = view.step({"agent_0": MUCH, "agent_1": LOSE})
    assert rewards == {"agent_0": -1.0, "agent_1": -1.0}
    assert infos["agent_1"] == {"reward": -2.0, "payment": 0.0, "tax": 0.0, "transfer": 0.0, "shaping": 1.0}


def test_terms_stand_in_the_observation_and_following_is_paid() -> None:
    def principal(game: Game, state: Any) -> Decisions:
        return Decisions(np.array([[LITTLE, LOSE]]), np.array([[0.5, 2.0]], np.float32))

    view = parallel_env(GAME, "principal-dqn", principal)
    observations, _ = view.reset(seed=0)
    np.testing.assert_array_equal(observations["agent_1"]["terms"], [0, 0, 1, 0])
    assert view.observation_space("agent_1").contains(observations["agent_1"])
    _, rewards, _, _, infos = view.step({"agent_0": MUCH, "agent_1": LOSE})
    assert rewards == {"agent_0": 1.0, "agent_1": 0.0}
    assert infos["agent_1"] == {"reward": -2.0, "payment": 2.0, "tax": 0.0, "transfer": 0.0, "shaping": 0.0}


# The principal as an agent


def asked(view: Any) -> dict[str, Any]:
    """What `follow` decides now, as the principal's action."""
    decisions = follow(view.game, view._loop.state)
    return {"recommended": decisions.recommended[0], "promised": decisions.promised[0]}


def test_the_principal_may_pay_by_what_the_others_do() -> None:
    """Agent 0 is paid the number of the other's action, agent 1 ten more, for following."""
    view = parallel_env(GAME, "principal-dqn", "agent", alpha=0.5)
    view.reset(seed=0)
    by_other = np.arange(4, dtype=np.float32) + np.array([[0.0], [10.0]], np.float32)
    view.step({"principal": {"recommended": np.array([LITTLE, MUCH]), "promised": by_other}})
    infos = view.step({"agent_0": LITTLE, "agent_1": LEAVE})[4]
    assert (infos["agent_0"]["payment"], infos["agent_1"]["payment"]) == (3.0, 0.0)
    assert infos["principal"]["paid"] == 3.0
    with pytest.raises(UsageError, match=r"numbers \(2,\) or \(2, 4\), 0 or more"):
        view.step({"principal": {"recommended": np.array([0, 0]), "promised": by_other[:, :3]}})


def test_the_principal_acts_first_and_the_agents_see_its_terms() -> None:
    view = parallel_env(GAME, "principal-dqn", "agent", alpha=0.5)
    assert view.possible_agents == ["principal", "agent_0", "agent_1"]
    observations, infos = view.reset(seed=0)
    np.testing.assert_array_equal(observations["principal"], view.state())
    assert not observations["agent_0"]["terms"].any()
    assert [infos[agent]["due"] for agent in view.agents] == [True, False, False]

    promise = {"recommended": np.array([LITTLE, MUCH]), "promised": np.array([0.5, 3.0], np.float32)}
    observations, rewards, terminations, truncations, infos = view.step({"principal": promise})
    np.testing.assert_array_equal(observations["agent_0"]["terms"], [0, 1, 0, 0])
    assert set(rewards.values()) == {0.0}
    assert not any(terminations.values())
    assert not any(truncations.values())
    assert [infos[agent]["due"] for agent in view.agents] == [False, True, True]

    observations, rewards, _, _, infos = view.step({"agent_0": LITTLE, "agent_1": LITTLE})
    assert rewards == pytest.approx({"principal": 0.5 / 0.5 - 0.5, "agent_0": 0.75, "agent_1": 0.25})
    assert infos["principal"] == {"reward": 0.5, "paid": 0.5, "due": True}
    assert infos["agent_0"]["payment"] == 0.5
    assert not observations["agent_0"]["terms"].any(), "new terms are not offered yet"


@pytest.mark.parametrize("mechanism", ["principal-dqn", "advice"])
def test_fed_with_a_functions_decisions_it_gives_the_same_episode(mechanism: str) -> None:
    id = "coin_game/ivanov-3x3"
    told, agent = parallel_env(id, mechanism, follow), parallel_env(id, mechanism, "agent")
    for episode in range(2):
        seen, first = told.reset(seed=4 if episode == 0 else None), agent.reset(seed=4 if episode == 0 else None)
        while told.agents:
            promised = agent.step({"principal": asked(agent)})[0]
            for name in told.agents:
                np.testing.assert_equal(promised[name], seen[0][name])
            actions = {name: int(seen[0][name]["terms"].argmax()) for name in told.agents}
            actions["red"] = MUCH
            seen, first = told.step(actions), agent.step(actions)
            for part in range(1, 4):
                assert {name: first[part][name] for name in seen[part]} == seen[part]
        assert agent.agents == []
        assert set(first[3]) == {"principal", "red", "blue"}
        assert all(first[3].values())


def test_in_turns_each_acts_once_a_step_and_the_principal_first() -> None:
    view = env(GAME, "principal-dqn", "agent", alpha=1.0)
    view.reset(seed=0)
    order = []
    for agent in view.agent_iter():
        observation, reward, terminated, truncated, _ = view.last()
        order.append(agent)
        if terminated or truncated:
            view.step(None)
        elif agent == "principal":
            view.step({"recommended": np.array([LITTLE, LOSE]), "promised": np.array([0.5, 0.0], np.float32)})
        else:
            np.testing.assert_array_equal(observation["terms"], np.eye(4)[LITTLE if agent == "agent_0" else LOSE])
            view.step(LITTLE)
        if agent == "principal" and len(order) > 1:
            assert reward == pytest.approx(0.5 - 0.5)
        if agent == "agent_0" and len(order) > 2:
            assert reward == pytest.approx(0.75)
    assert order[:9] == ["principal", "agent_0", "agent_1"] * 3
    assert sorted(order[9:]) == ["agent_0", "agent_1", "principal"], "each is told the end"


# What is refused


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        ({"agent_0": 0}, "no action came for 'agent_1'"),
        ({"agent_0": 0, "agent_1": 0, "agent_2": 0}, "'agent_2'; those that act are agent_0, agent_1"),
        ({"agent_0": 4, "agent_1": 0}, r"the action of agent_0 is 4; allowed: 0 \(much\), 1 \(little\)"),
        ({"agent_0": 0, "agent_1": -1}, "the action of agent_1 is -1"),
        ({"agent_0": 0, "agent_1": 1.0}, "the action of agent_1 is 1.0"),
        ({"agent_0": 0, "agent_1": None}, "the action of agent_1 is None"),
    ],
)
def test_actions_that_are_not_allowed(actions: dict[str, Any], told: str) -> None:
    view = parallel_env(GAME)
    view.reset(seed=0)
    with pytest.raises(UsageError, match=told):
        view.step(actions)
    view.step({"agent_0": 0, "agent_1": 0})  # it can be put right


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (1, "must be a dict of 'recommended' and 'promised'"),
        ({"recommended": [0, 4], "promised": [0, 0]}, "integers .* from 0 to 3"),
        ({"recommended": [0.0, 1.0], "promised": [0, 0]}, "integers"),
        ({"recommended": [0], "promised": [0, 0]}, "integers"),
        ({"recommended": [0, 1], "promised": [0, -0.1]}, "0 or more"),
        ({"recommended": [0, 1], "promised": [0, np.inf]}, "finite"),
    ],
)
def test_a_principals_actions_that_are_not_allowed(action: Any, told: str) -> None:
    view = parallel_env(GAME, "principal-dqn", "agent")
    view.reset(seed=0)
    with pytest.raises(UsageError, match=told):
        view.step({"principal": action})
    view.step({"principal": {"recommended": [0, 1], "promised": [0, 1.5]}})
    with pytest.raises(UsageError, match="the action of agent_1 is 9"):
        view.step({"agent_0": 0, "agent_1": 9})
    assert view.step({"agent_0": 1, "agent_1": 1})[4]["agent_1"]["payment"] == 1.5, "the promise stands"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"game": "coin_game/ivanov-9x9"}, "Did you mean 'coin_game/ivanov-7x7'"),
        ({"game": "coin_game/ivanov-3x3", "grid": 4}, "Did you mean 'grid_size'"),
        ({"game": GAME, "grid_size": 4}, "grid_size came with a Game that is made already"),
        ({"game": GAME, "mechanism": "joined"}, "Did you mean 'joint'"),
        ({"game": GAME, "mechanism": "principal-dqn"}, "needs a principal: principal='agent'"),
        ({"game": GAME, "mechanism": "joint", "principal": "agent"}, "Joint has none"),
        ({"game": GAME, "mechanism": "principal-dqn", "principal": "dqn"}, "allowed: None, 'agent'"),
        ({"game": GAME, "mechanism": "principal-dqn", "principal": "agent", "alpha": 0.0}, "alpha is 0.0"),
        ({"game": GAME, "mechanism": make_mechanism("joint", PlainGame(N=3))}, "both for the same game"),
        ({"game": GAME, "render_mode": "rgb"}, "'human', 'rgb_array', 'ansi'"),
    ],
)
def test_what_does_not_exist_or_fit(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parallel_env(**asked)


def test_a_step_before_the_first_reset() -> None:
    with pytest.raises(UsageError, match=r"call reset\(\) first"):
        parallel_env(GAME).step({})


# Pictures


def test_pictures_and_text() -> None:
    drawn, written = (parallel_env("coin_game/ivanov-3x3", render_mode=mode) for mode in ("rgb_array", "ansi"))
    for view in (drawn, written):
        view.reset(seed=0)
    frame = drawn.render()
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert written.render() == text(written.game.scene(written._loop.state, None, 0))
    drawn.step({"red": 0, "blue": 0})
    assert (drawn.render() != frame).any()


def test_a_window_shows_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[np.ndarray] = []
    monkeypatch.setattr(Window, "show", lambda self, frame: shown.append(frame))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    view = parallel_env("coin_game/ivanov-3x3", render_mode="human")
    view.reset(seed=0)
    view.step({"red": 0, "blue": 0})
    assert len(shown) == 2
    assert view.render() is None
    view.close()


def test_without_a_render_mode_there_is_nothing_to_render() -> None:
    view = parallel_env(GAME)
    view.reset(seed=0)
    with pytest.raises(UsageError, match="render_mode is None"):
        view.render()


def test_the_picture_shows_what_is_recommended() -> None:
    scenes = []
    for principal in (follow, "agent"):
        view = parallel_env("coin_game/ivanov-3x3", "principal-dqn", principal, "ansi")
        view.reset(seed=0)
        scenes.append(view._scene().sprites)
    told, unasked = scenes
    assert told[: len(unasked)] == unasked
    names = [view.game.action_names[action] for action in follow(view.game, view._loop.state).recommended[0]]
    assert [sprite.label for sprite in told[len(unasked) :]] == names


@pytest.mark.parametrize(
    ("mechanism", "low", "high", "shape"),
    [("lio", 0.0, 2.0, (2, 2, 2)), ("adaptive-mechanism-design", -3.0, 3.0, (2, 4)), ("mediator", 0.0, 1.0, (2, 4))],
)
def test_a_principal_promises_within_the_bounds_of_its_mechanism(
    mechanism: str, low: float, high: float, shape: tuple[int, ...]
) -> None:
    env = parallel_env("matrix/chicken", mechanism=mechanism, principal="agent")
    space = env.action_space("principal")["promised"]
    assert (space.low.min(), space.high.max(), space.shape) == (low, high, shape)
    env.reset(seed=0)
    with pytest.raises(UsageError, match=rf"{low:g} to {high:g}"):
        env.step({"principal": {"promised": np.full(shape, high + 1.0)}})
