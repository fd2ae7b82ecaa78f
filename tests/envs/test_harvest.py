"""Harvest: against a slow, plain twin, and its own rules as pictures; moves and beams are those of Cleanup."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from paymaster.core.config import UsageError, to_json
from paymaster.envs import make
from paymaster.envs.harvest.game import Harvest, State

from .plain_grid import PlainGrid, assert_any_state_is_the_same, assert_same_episodes

CROWD = ("PAPA", "PAAP", "PA@P", "APPP")  # no walls around it: the map's edge stops moves and rays
VARIANTS: dict[str, dict[str, Any]] = {
    **{preset: {} for preset in Harvest.presets},
    "ssd of eight in a crowd": {
        "map": CROWD, "players": 8, "view": 5, "beam_length": 3, "regrowth": (0.2, 0.4, 0.9), "dense": 3,
        "dense_distance": 1, "hit_cost": 2.5, "truncates": False, "horizon": 30,
    },
    "commons of six that do not turn": {
        "map": CROWD, "players": 6, "view": 3, "beam_width": 5, "turning": False, "apple_reward": 2.0,
        "regrowth": (0.5,), "fire_cost": 0.5,
    },
    "ssd of seven without fire": {"map": CROWD, "players": 7, "fire": False, "regrowth_distance": 9},
    "ssd of twenty": {"players": 20, "regrowth": (0.1, 0.5, 0.5, 0.5, 0.0)},
}  # fmt: skip


class Twin(PlainGrid):
    """One environment. `rules` are the fields of the game."""

    def __init__(self, rules: dict[str, Any], key: int) -> None:
        super().__init__(rules, key, classes=10)
        self.apples = set(self.cells("A"))

    def step(self, actions: list[str]) -> None:
        self.begin_step("ate", "low_density_eaten", "low_density_left", "fired", "hit")
        low = {cell for cell in self.apples if self.count(cell, "dense_distance") < self.rules["dense"]}
        tempted = [{self.beside(i, direction) for direction in range(4)} & low for i in range(self.players)]
        tried = [self.target(i, action) for i, action in enumerate(actions)]
        self.go(actions)
        for i, cell in enumerate(self.agents):
            self.events["low_density_eaten"][i] = int(cell in low)
            self.events["low_density_left"][i] = int(bool(tempted[i]) and tried[i] not in low and cell not in low)
        self.eat()
        for i, action in enumerate(actions):
            if action == "fire":
                self.fire(i)
        grown = {cell for a, cell in enumerate(self.cells("A")) if self.grows(a, cell)}
        self.apples |= grown

    def count(self, cell: tuple[int, int], distance: str) -> int:
        return sum((r - cell[0]) ** 2 + (c - cell[1]) ** 2 <= self.rules[distance] for r, c in self.apples)

    def grows(self, a: int, cell: tuple[int, int]) -> bool:
        if cell in self.apples or cell in self.agents:
            return False
        rates = self.rules["regrowth"]
        rate = rates[min(self.count(cell, "regrowth_distance"), len(rates) - 1)]
        return bool(self.uniform(self.players + a) < rate)


def twin_game(variant: str) -> Any:
    return make(f"harvest/{variant.split()[0]}", **VARIANTS[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_episodes_are_the_twins(variant: str) -> None:
    assert_same_episodes(twin_game(variant), Twin)


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_state_steps_like_the_twins(variant: str) -> None:
    assert_any_state_is_the_same(twin_game(variant), Twin)


def test_the_variants_meet_every_value_of_every_rule() -> None:
    """A rule that no variant changes would be compared in one value only."""
    met = [to_json(twin_game(variant)) for variant in VARIANTS]
    for rule in met[0].keys() - {"observation"}:  # tests/test_rgb.py
        assert len({str(game[rule]) for game in met}) >= 2, rule


# Pictures: cells stand apart; `@` wall, `.` floor, `*` apple, `A` apple cell without one, an agent before what it is on

L, R, U, D, STAY, TURN_RIGHT, TURN_LEFT, FIRE = range(8)
AGENTS = "abcd"


def words(picture: str) -> list[list[str]]:
    return [line.split() for line in picture.strip().splitlines()]


def read(picture: str, **rules: Any) -> tuple[Any, State]:
    """`ssd` on the map of a picture, with spawn points in a walled row below, and its state; all face up."""
    rows = ["".join(word.lstrip(AGENTS) or " " for word in line) for line in words(picture)]
    rows = [row.replace(".", " ").replace("*", "A") for row in rows]
    rows += ["@" * len(rows[0]), *["P" * len(rows[0])] * 4]
    game: Any = make("harvest/ssd", map=tuple(rows), players=4, **rules)
    state = game.reset(np.zeros(1, np.uint64))
    state.facing[:] = 0
    for r, line in enumerate(words(picture)):
        for c, word in enumerate(line):
            state.board[0, r, c] = {"*": 3, "@": 2}.get(word[-1], 1)
            if word[0] in AGENTS:
                state.agents[0, AGENTS.index(word[0])] = r, c
    return game, state


def play(picture: str, *actions: int, grow: float = 0.999, **rules: Any) -> tuple[str, Any, Any]:
    """The picture after a step in which every apple cell draws `grow`, the events, and the game."""
    game, state = read(picture, **rules)
    draws = np.full((1, 4 + len(game._rules.apple_cells)), grow)
    draws[0, :4] = 0.0
    state, events = game.play(state, np.array([[*actions, *[STAY] * (4 - len(actions))]]), draws)
    lines = []
    for r, line in enumerate(words(picture)):
        shown = []
        for c in range(len(line)):
            here = "".join(AGENTS[i] for i, at in enumerate(state.agents[0].tolist()) if at == [r, c])
            ground = {" ": ".", "@": "@", "A": "*" if state.board[0, r, c] == 3 else "A"}[game.map[r][c]]
            shown.append(here + (ground if not here or ground != "." else ""))
        lines.append(" ".join(shown))
    return "\n".join(lines), events, game


def test_eating_firing_and_being_hit() -> None:
    after, events, game = play("b .\n. .\na *", FIRE)
    assert game.rewards(events)[0].tolist() == [-1, -50, 0, 0]
    after, events, game = play("a * .", R)
    assert after == ". aA ."
    assert game.rewards(events)[0].tolist() == [1, 0, 0, 0]
    after, events, game = play("a* .", FIRE)
    assert game.rewards(events)[0].tolist() == [0, 0, 0, 0]
    assert "fire" not in make("harvest/ssd", fire=False).action_names


@pytest.mark.parametrize(
    ("picture", "rate"),
    [
        ("A . .\n. * .\n. . .", 0.005),  # diagonal: squared distance 2
        ("A . *\n. . .\n. . .", 0.0),  # squared distance 4
        ("A * .\n* . .\n. . .", 0.02),
        ("A * .\n* * .\n. . .", 0.05),
        ("* * *\n* A *\n* * *", 0.05),  # more than three count as three
    ],
)
def test_apples_grow_the_sooner_the_more_are_near(picture: str, rate: float) -> None:
    grown = picture.replace("A", "*")
    assert play(picture, grow=rate)[0] == picture
    if rate:
        assert play(picture, grow=rate - 1e-9)[0] == grown


def test_apples_of_the_commons_grow_slower_from_farther_away() -> None:
    commons = Harvest.presets["commons"]
    for picture, rate in [("A . *", 0.0025), ("A * *", 0.005), ("A * *\n* . .", 0.025)]:
        assert play(picture, grow=rate, **commons)[0] == picture
        assert play(picture, grow=rate - 1e-9, **commons)[0] == picture.replace("A", "*")
    assert play("A . .\n. . *", grow=0.0, **commons)[0] == "A . .\n. . *"  # squared distance 5


def test_no_apple_grows_under_an_agent() -> None:
    assert play("* aA *", STAY, grow=0.0)[0] == "* aA *"
    assert play("* a* *", STAY, grow=0.0)[0] == "* aA *"


def test_apples_that_grow_in_a_step_do_not_count_for_each_other() -> None:
    assert play("* A A A", grow=0.004)[0] == "* * A A"


def test_apples_eaten_in_a_step_do_not_count() -> None:
    assert play("a * A", R, grow=0.0)[0] == ". aA A"


def left_and_eaten(picture: str, *actions: int, **rules: Any) -> tuple[list[int], list[int]]:
    _, events, game = play(picture, *actions, **rules)
    facts = game.facts(events)[0, : len(actions)].astype(int)
    assert facts[:, 0].tolist() == events.ate[0, : len(actions)].astype(int).tolist()
    return facts[:, 1].tolist(), facts[:, 2].tolist()


def test_an_apple_with_fewer_than_four_around_is_of_low_density() -> None:
    assert left_and_eaten("a * * *", R) == ([1], [0])
    assert left_and_eaten("a * *\n. * *", R) == ([0], [0])
    assert left_and_eaten("a * . .\n. . . *\n* . * .", R) == ([0], [0])  # all three at squared distance 5
    assert left_and_eaten("a * . .\n. . . .\n. . * *\n. . . .", R) == ([1], [0])  # 5 and 8


def test_density_counts_before_anyone_eats() -> None:
    assert left_and_eaten("a * *\n* * b", R, L) == ([0, 0], [0, 0])


def test_a_low_density_apple_beside_an_agent_that_does_not_go_for_it_is_left() -> None:
    for action in (L, U, D, STAY, TURN_RIGHT, FIRE):
        assert left_and_eaten(". . .\n. a *\n. . .", action) == ([0], [1])
    assert left_and_eaten("a . *", STAY) == ([0], [0])  # out of reach
    assert left_and_eaten("a .\n. *", STAY) == ([0], [0])
    assert left_and_eaten("a * *\n. * *", STAY) == ([0], [0])  # dense


def test_one_of_two_is_eaten_and_none_is_left() -> None:
    assert left_and_eaten("* a *", R) == ([1], [0])


def test_an_apple_that_another_takes_is_left_by_who_did_not_try() -> None:
    assert left_and_eaten("a * b", R, STAY) == ([1, 0], [0, 1])
    assert left_and_eaten("a * b", R, L) == ([1, 0], [0, 0])  # b tried, and lost the cell


def test_the_map_has_the_counts_of_its_source() -> None:
    game: Any = make("harvest/ssd")
    counts = Counter("".join(game.map))
    assert (len(game.map), len(game.map[0]), counts["A"], counts["P"]) == (16, 38, 155, 20)
    state = game.reset(np.arange(2000, dtype=np.uint64))
    assert ((state.board == 3).sum(axis=(1, 2)) == 155).all()
    places = state.agents.astype(int) @ [38, 1]
    assert all(len({*row}) == 5 for row in places.tolist())
    assert len({*places[:, 4].tolist()}) == 20


def test_the_scene_shows_apples_and_agents() -> None:
    game, state = read("a * .")
    state, events = game.step(state, np.array([[FIRE, STAY, STAY, STAY]]))
    scene = game.scene(state, events, 0)
    assert [(s.row, s.column) for s in scene.sprites if s.kind == "apple"] == [(0, 1)]
    assert {(s.row, s.column) for s in scene.sprites if s.kind == "beam-fire"} == {(0, 1)}
    assert scene.caption == "step 1"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"map": ("PPA", "PP")}, r"row 1 of the map has 2 cells and row 0 has 3"),
        ({"map": ("PPH",)}, r"the map has 'H'; its characters may be '@', ' ', 'P', 'A'"),
        ({"map": ("PPPPA",)}, r"4 spawn points 'P' for 5 players"),
        ({"map": ("PPPPP",)}, r"no apples; give it cells 'A'"),
        ({"view": 4}, r"view is 4; ask for an odd number"),
        ({"regrowth": ()}, r"regrowth"),
        ({"regrowth": (0.0, 1.5)}, r"regrowth is .*probabilities from 0 to 1"),
        ({"players": 21}, r"20 spawn points 'P' for 21 players"),
        ({"grid": 3}, r"unknown parameter of game harvest/ssd 'grid'"),
    ],
)
def test_a_rule_that_is_not_allowed_is_told(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make("harvest/ssd", **rules)


def test_an_action_that_does_not_exist_is_told() -> None:
    game: Any = make("harvest/ssd")
    with pytest.raises(UsageError, match=r"actions from 0 to 8.*0 to 7 are allowed"):
        game.step(game.reset(np.zeros(1, np.uint64)), np.array([[0, 1, 2, 3, 8]]))
