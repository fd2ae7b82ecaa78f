"""Cleanup as numbers: its rules as pictures, what is seen, and a slow, plain twin.

A picture is as in `test_cleanup.py`: `@` wall, `.` floor, `H` waste, `R` clean river, `B` apple cell, `*` apple, and a
lower case letter for an agent, before what it stands on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from paymaster.core.config import UsageError, to_json
from paymaster.envs import make
from paymaster.envs.cleanup.features import State

from .plain_grid import AHEAD, HEADINGS, WORD, Cell, PlainGrid, assert_same_state
from .test_cleanup import AGENTS, FACINGS, NEVER, drawn, read, words

L, R, U, D, STAY, TURN_RIGHT, TURN_LEFT, CLEAN = range(8)


def game_of(picture: str, **rules: Any) -> Any:
    """`ssd` on the map of a picture, with spawn points in a walled row below."""
    rows = ["".join(word.lstrip(AGENTS) or " " for word in line) for line in words(picture)]
    rows = [row.replace(".", " ").replace("*", "B") for row in rows]
    width = len(rows[0])
    rows += ["@" * width, *["P" * width] * (8 // width + 1), "R" + "@" * (width - 1)]
    players = max(2, sum(word[0] in AGENTS for line in words(picture) for word in line))
    return make("cleanup_features/ssd", **{"map": tuple(rows), "players": players, **NEVER, **rules})


def after(
    before: str, actions: list[int], facing: str = "", draws: np.ndarray | None = None, **rules: Any
) -> tuple[Any, State, Any, str]:
    """The game, and the state, the events and the picture after one step in which nothing happens by chance."""
    game = game_of(before, **rules)
    if draws is None:
        draws = np.full((1, game.players + 1 + len(game._rules.apple_cells)), 0.999)
        draws[0, : game.players] = 0.0
    actions = actions + [STAY] * (game.players - len(actions))
    state, events = game.play(read(game, before, facing), np.array([actions]), draws)
    return game, state, events, drawn(game, state, len(words(before)))


def picture(text: str) -> str:
    return "\n".join(" ".join(line) for line in words(text))


@pytest.mark.parametrize("front", FACINGS)
@pytest.mark.parametrize(
    ("action", "moved"),
    [
        (U, ". a .\n. . .\n. . ."), (L, ". . .\na . .\n. . ."), (R, ". . .\n. . a\n. . ."),
        (D, ". . .\n. . .\n. a ."), (STAY, ". . .\n. a .\n. . ."),
    ],
)  # fmt: skip
def test_moves_are_absolute_and_keep_the_facing(front: str, action: int, moved: str) -> None:
    _, state, _, seen = after(". . .\n. a .\n. . .", [action], front)
    assert seen == picture(moved)
    assert FACINGS[state.facing[0, 0]] == front


@pytest.mark.parametrize("front", range(4))
def test_turns_keep_the_place(front: int) -> None:
    for action, quarter in ((TURN_RIGHT, 1), (TURN_LEFT, -1)):
        _, state, _, seen = after(". a .", [action], FACINGS[front])
        assert (state.facing[0, 0], seen) == ((front + quarter) % 4, ". a .")


def test_conflicts_are_cleanups() -> None:
    assert after("a . b", [R, L])[3] == ". a b"  # the draw falls to the first
    assert after("a b .", [R, R])[3] == ". a b"
    assert after("a b .", [R, L])[3] == "a b ."
    assert after("a b .", [R, CLEAN])[3] == "a b ."


@pytest.mark.parametrize("action", range(8))
def test_only_who_moves_or_stays_eats(action: int) -> None:
    game, _, events, _ = after("@ @ @\n@ a* @\n@ @ @", [action])
    assert events.ate[0, 0] == (action <= STAY)
    assert game.rewards(events)[0].tolist() == [float(action <= STAY), 0.0]


def test_who_comes_onto_an_apple_eats_it() -> None:
    _, _, events, seen = after("a *", [R])
    assert (seen, events.ate[0].tolist()) == (". aB", [True, False])


def test_a_beam_cleans_all_it_passes_under_agents_and_where_one_stands() -> None:
    before = "H H H H\nH bH H H\nH H H H\nH H H H\nH H H H\nH H H H\nH aH H H\nH H H H"
    _, state, events, seen = after(before, [CLEAN])
    assert seen == picture("H H H H\nR bR R H\nR R R H\nR R R H\nR R R H\nR R R H\nR aR R H\nH H H H")
    assert events.cleaned[0].tolist() == [18, 0]
    assert state.cleaned[0].tolist() == [18, 0]


@pytest.mark.parametrize(
    ("front", "cleaned"),
    [
        ("^", "R R R\nR aR R\nH H H"),
        (">", "H R R\nH aR R\nH R R"),
        ("v", "H H H\nR aR R\nR R R"),
        ("<", "R R H\nR aR H\nR R H"),
    ],
)
def test_beams_go_where_the_agent_faces(front: str, cleaned: str) -> None:
    assert after("H H H\nH aH H\nH H H", [CLEAN], front)[3] == picture(cleaned)


def test_walls_stop_a_ray() -> None:
    assert after("H H H\n@ H H\nH aH H", [CLEAN])[3] == picture("H R R\n@ R R\nR aR R")
    assert after("H H H\nH H H\n@ aH H", [CLEAN])[3] == picture("H R R\nH R R\n@ aR R")


def test_beams_go_in_the_agents_order_after_all_have_moved() -> None:
    assert after("a H b", [CLEAN, CLEAN], "> <")[2].cleaned[0].tolist() == [1, 0]
    assert after("H\nb\n.\na", [CLEAN, R], "^ ^")[2].cleaned[0].tolist() == [1, 0]


def test_waste_comes_to_the_first_clean_cell_on_which_it_succeeds() -> None:
    """The k-th clean cell in reading order has p (1 - p)^k of all draws; on the rest there is none."""
    before, p, fine = "R H R\nH R .", 0.3, 10_000
    found = dict.fromkeys(("H H R\nH R .", "R H H\nH R .", "R H R\nH H .", before), 0)
    game = game_of(before, depletion=2.0, waste_probability=p)
    state = read(game, before, B=fine)
    draws = np.full((fine, 3 + len(game._rules.apple_cells)), 0.999)
    draws[:, 2] = (np.arange(fine) + 0.5) / fine
    new, _ = game.play(state, np.full((fine, 2), STAY), draws)
    for b in range(fine):
        one = new._replace(agents=new.agents[b : b + 1], board=new.board[b : b + 1])
        text = drawn(game, one, 2)
        found[text] = found.get(text, 0) + 1
    counts = list(found.values())
    assert counts[:3] == [3000, 2100, 1470]
    assert counts[3] + sum(counts[4:]) == 3430  # with the river cell in the walled row


def test_apples_come_where_neither_an_apple_nor_an_agent_is() -> None:
    before = "aB B * B"
    game = game_of(before, apple_probability=0.5)
    assert game._rules.apple_cells[:, 1].tolist() == [0, 1, 2, 3]
    draws = np.array([[0.0, 0.0, 0.999, 0.1, 0.1, 0.1, 0.6]])
    assert after(before, [], draws=draws, apple_probability=0.5)[3] == "aB * * B"


def test_nothing_appears_while_the_river_is_spoilt() -> None:
    draws = np.zeros((1, 4))
    for depletion, seen in ((0.5, "aB . H R"), (0.51, "aB . H H")):
        spoilt = {"depletion": depletion, "waste_probability": 1.0, "apple_probability": 1.0}
        before = "aB . H R"
        game = game_of(before, **spoilt)
        state = read(game, before)
        state.board[:, -1, 0] = 12  # of three river cells two have waste
        state.board[:, 0, 2] = 10 if depletion == 0.5 else 12
        assert len(game._rules.waste_cells) == 3
        new, _ = game.play(state, np.full((1, 2), STAY), draws)
        grown = (new.board[0] == 12).sum() - (state.board[0] == 12).sum()
        assert grown == (1 if depletion == 0.5 else 0), seen  # 1/3 is below, 2/3 is not


def test_what_is_seen() -> None:
    """An agent, the nearest other (of two as near the first), the nearest apple and waste, counts, and who cleaned."""
    before = "* . b . .\n. . a . H\n. . . c *\nH . d . ."
    game, state, _, _ = after(before, [STAY, TURN_RIGHT, STAY, TURN_LEFT], "v < > ^")
    seen = game.observe(state)
    assert (seen.shape, seen.dtype) == ((1, 4, 16), np.float32)
    assert seen[0, 0].tolist() == [1, 2, 2, 0, 2, 0, 0, 0, 1, 4, 2, 2, 0, 0, 0, 0]
    assert seen[0, 3].tolist() == [3, 2, 3, 1, 2, 2, 2, 4, 3, 0, 2, 2, 0, 0, 0, 0]
    _, state, _, _ = after(before, [STAY, STAY, STAY, CLEAN], "v < > <")
    assert game.observe(state)[0, 0].tolist() == [1, 2, 2, 0, 2, 3, 0, 0, 1, 4, 2, 1, 0, 0, 0, 1]


def test_without_apples_or_waste_their_place_is_0_0() -> None:
    game, state, _, _ = after("R a . b", [])
    assert game.observe(state)[0, 0].tolist() == [0, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_the_map_and_the_players_are_the_papers() -> None:
    game = make("cleanup_features/ssd")
    assert (game.players, game.horizon, game.truncates, game.classes) == (2, 1000, True, 0)
    assert game.map == make("cleanup/ssd").map
    assert "fire" not in game.action_names
    assert len(game.action_names) == 8
    with pytest.raises(UsageError, match="odd number"):
        make("cleanup_features/ssd", beam_width=2)
    with pytest.raises(UsageError, match="0 to 7 are allowed"):
        game.step(game.reset(np.zeros(1, np.uint64)), np.full((1, 2), 8))


# A slow, plain twin

CROWD = ("PHPB", "PRBP", "PB@P", "HPPP")
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "eight": {"players": 8, "apple_probability": 0.4},
    "a crowd": {
        "map": CROWD, "players": 8, "beam_length": 1, "beam_width": 1, "depletion": 1.5, "restoration": 0.3,
        "apple_probability": 0.3, "waste_probability": 0.2, "truncates": False, "horizon": 20, "apple_reward": 2.0,
    },
}  # fmt: skip


class Twin(PlainGrid):
    """One environment. `rules` are the fields of the game."""

    def __init__(self, rules: dict[str, Any], key: int) -> None:
        super().__init__({**rules, "turning": True}, key, classes=14)
        self.waste = set(self.cells("H"))

    def target(self, i: int, action: str) -> Cell | None:
        cell = self.beside(i, HEADINGS[action]) if action in HEADINGS else None
        return cell if cell is not None and self.open(cell) else None

    def step(self, actions: list[str]) -> None:
        self.begin_step("ate", "cleaned")
        self.go(actions)
        for i, action in enumerate(actions):
            if self.agents[i] in self.apples and (action in HEADINGS or action == "stay"):
                self.apples.remove(self.agents[i])
                self.events["ate"][i] = 1
        for i, action in enumerate(actions):
            if action == "clean":
                self.clean(i)
        self.spawn()

    def clean(self, i: int) -> None:
        (row, column), (dy, dx) = self.agents[i], AHEAD[self.facing[i]]
        side_y, side_x = AHEAD[(self.facing[i] + 1) % 4]
        half = self.rules["beam_width"] // 2
        for aside in range(-half, half + 1):
            for ahead in range(self.rules["beam_length"] + 1):
                cell = row + ahead * dy + aside * side_y, column + ahead * dx + aside * side_x
                if not self.open(cell):
                    break
                self.beams[cell] = "clean"
                if cell in self.waste:
                    self.waste.remove(cell)
                    self.events["cleaned"][i] += 1

    def spawn(self) -> None:
        rules, N, river = self.rules, self.players, self.cells("HR")
        d = len(self.waste) / len(river)
        if d >= rules["depletion"]:
            return
        low, high = rules["restoration"], rules["depletion"]
        apple = rules["apple_probability"] * (1 if d <= low else 1 - (d - low) / (high - low))
        for a, cell in enumerate(self.cells("B")):
            if self.uniform(N + 1 + a) < apple and cell not in self.apples and cell not in self.agents:
                self.apples.add(cell)
        for k, cell in enumerate([cell for cell in river if cell not in self.waste]):
            if self.uniform(N) < 1 - (1 - rules["waste_probability"]) ** (k + 1):
                self.waste.add(cell)
                break

    def rewards(self) -> list[float]:
        return [self.rules["apple_reward"] * ate for ate in self.events["ate"]]

    def tell(self, i: int) -> list[int]:
        """What agent i sees."""

        def near(cells: list[Cell]) -> Cell:
            return min(cells, key=lambda cell: sum(abs(a - b) for a, b in zip(cell, self.agents[i], strict=True)))

        others = [self.agents[j] for j in range(self.players) if j != i]
        other = self.agents.index(near(others))
        things = [near(sorted(cells)) if cells else (0, 0) for cells in (self.apples, self.waste)]
        told = [*self.agents[i], self.facing[i], *self.agents[other], self.facing[other], *things[0], *things[1]]
        return [*told, len(self.apples), len(self.waste), *self.events.get("cleaned", [0] * self.players)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_episodes_are_the_twins(variant: str) -> None:
    game = make("cleanup_features/ssd", **VARIANTS[variant])
    rng, names = np.random.default_rng(1), game.action_names
    keys = rng.integers(WORD, size=5, dtype=np.uint64)
    state, twins = game.reset(keys), [Twin(to_json(game), key) for key in keys.tolist()]
    often = [0.1] * 4 + [0.05] * 3 + [0.45]  # clean often, so that apples grow
    for twin in twins:
        twin.reset()
    eaten = cleaned = 0
    for _ in range(80):
        assert_same_state(state, twins)
        seen, world = game.observe(state), game.world(state)
        assert all(game.observation_space.contains(row) for row in seen.reshape(-1, seen.shape[-1]))
        for b, twin in enumerate(twins):
            assert world[b].tolist() == twin.world()
            assert seen[b].tolist() == [twin.tell(i) for i in range(game.players)]
        actions = rng.choice(8, size=(len(twins), game.players), p=often)
        state, events = game.step(state, actions)
        rewards, facts = game.rewards(events), game.facts(events)
        for b, twin in enumerate(twins):
            twin.step([names[a] for a in actions[b]])
            assert {name: values[b].tolist() for name, values in events._asdict().items()} == twin.events
            assert rewards[b].tolist() == twin.rewards()
            assert facts[b].T.tolist() == [twin.events[name] for name in game.verifiable]
        eaten, cleaned = eaten + int(events.ate.sum()), cleaned + int(events.cleaned.sum())
    assert cleaned
    assert eaten or not VARIANTS[variant], "at its own rates apples take longer"
    assert all(facing in range(4) for twin in twins for facing in twin.facing)


def test_an_episode_depends_on_its_key_and_actions_alone() -> None:
    game = make("cleanup_features/ssd", apple_probability=0.5)
    actions = np.random.default_rng(0).integers(8, size=(30, 4, 2))
    together, alone = game.reset(np.arange(4, dtype=np.uint64)), game.reset(np.array([2], np.uint64))
    for chosen in actions:
        together, alone = game.step(together, chosen)[0], game.step(alone, chosen[2:3])[0]
    for one, all_ in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], all_[2])
