"""The command line: `paymaster list | run | compare | render | play | solve | self-interest | audit | show | speed`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ...core.config import UsageError

MISUSED = 2  # exit code of a mistake in what was asked
INTERRUPTED = 130  # exit code after Control-C, as shells have it

app = typer.Typer(
    name="paymaster",
    help="What does it cost to make self-interested learners cooperate, and who pays?",
    epilog="Start with: paymaster run quick",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


class Kind(StrEnum):
    """What can be listed."""

    GAMES = "games"
    MECHANISMS = "mechanisms"
    SUITES = "suites"


class Format(StrEnum):
    """How a comparison is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def _load(modules: list[str] | None) -> None:
    from ...core.registry import load_plugin

    for module in modules or []:
        load_plugin(module)


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        callback=_load,
        help="A Python module, here or installed, with games and mechanisms of your own; may be given again.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a rule, a parameter or a setting; may be given again."),
]


@app.command(name="list", epilog="Example: paymaster list mechanisms")
def list_(
    kind: Annotated[Kind | None, typer.Argument(help="All of them unless one is named.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Items with an id each.")] = False,
    plugins: Plugins = None,
) -> None:
    """Say which games, mechanisms and suites there are."""
    from .list import listing, written

    print(written(listing([kind] if kind else list(Kind)), as_json=as_json))


@app.command(
    epilog="""Examples:

    paymaster run quick

    paymaster run coin-3x3 --seeds 3 --workers 2 --out runs/mine

    paymaster run coin_game/ivanov-3x3 --mechanism constant-share --set share=0.3 --seed 1

    paymaster run my-suite.yaml          paymaster run runs/mine/.../run.json
    """
)
def run(
    what: Annotated[str, typer.Argument(metavar="SUITE|FILE.yaml|GAME|run.json", help="What to run.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the runs; runs/NAME unless given.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds, instead of the suite's own number.")] = None,
    seed: Annotated[int | None, typer.Option(help="The first seed; 0 unless given.")] = None,
    workers: Annotated[int | None, typer.Option(help="Runs at a time; one a core unless given.")] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster, whose machines share the folder.")] = None,
    settings: Settings = None,
    mechanism: Annotated[str | None, typer.Option(help="For a single GAME; selfish unless given.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="For a single GAME: dqn (unless given) or ppo.")] = None,
    plugins: Plugins = None,
) -> None:
    """Make the runs of a suite, or a single one; those already made are not made again."""
    from ..runs.launch import Request
    from .run import execute

    sys.exit(execute(Request(what, out, seeds, seed, workers, address, settings or [], mechanism, algorithm)))


@app.command(
    epilog="""Examples:

    paymaster compare runs/quick

    paymaster compare runs/coin-3x3 results/reference/coin-3x3.csv --against constant-share

    paymaster compare runs/coin-3x3 --format csv --out results/coin-3x3.csv
    """
)
def compare(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|TABLE...", help="Run folders and CSV tables.")],
    format: Annotated[
        Format, typer.Option("--format", help="csv keeps every seed and can be compared again.")
    ] = Format.TABLE,
    against: Annotated[
        str | None, typer.Option(help="The mechanism differences are taken to; selfish unless given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A file to write to; how it was made goes beside it, as JSON.")
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Compare evaluated runs: welfare, payments and who pays, beside exact and published numbers.

    Damaged folders and tables are named and left out; it is a mistake only if nothing is left to compare.
    """
    from .compare import compare_and_write

    sys.exit(compare_and_write(paths, format.value, against, out))


@app.command(
    epilog="""Examples:

    paymaster render coin_game/ivanov-7x7          paymaster render cleanup/ssd --out random.mp4

    paymaster render runs/quick/coin_game__ivanov-3x3/principal-dqn/dqn/s0-... --out episode.gif

    paymaster render solved/coin-7x7 --out exact.png --step 10
    """
)
def render(
    what: Annotated[
        str, typer.Argument(metavar="GAME|FOLDER", help="A game, played at random, or a folder of a run or a solution.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="episode.gif or .mp4, or .png for one moment; a window unless given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of a game's or a solution's episode.")] = 0,
    step: Annotated[int | None, typer.Option(min=0, help="The moment of a .png: after so many steps.")] = None,
    settings: Settings = None,
    plugins: Plugins = None,
) -> None:
    """Show an episode: one that a run evaluated, one under the exact principal, or one of a game played at random.

    In the window, space pauses, left and right go one step, up and down change the speed, r starts again.
    """
    from ..reports.episode import draw

    if draw(what, out, seed=seed, step=step, settings=settings or []) is not None:
        print(out)


@app.command(
    epilog="""Examples:

    paymaster play coin_game/ivanov-3x3 --agent blue

    paymaster play coin_game/ivanov-3x3 --run runs/quick/coin_game__ivanov-3x3/principal-dqn/dqn/s0-...
    """
)
def play(
    game: Annotated[str, typer.Argument(metavar="GAME", help="What is played.")],
    agent: Annotated[
        str | None, typer.Option(help="The agent you steer, by name or number; the first unless given.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="A run's folder: its policies play the others, under its mechanism.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the episodes, and of the others where they act at random.")] = 0,
    settings: Settings = None,
    plugins: Plugins = None,
) -> None:
    """Play a game in a window, as one of its agents.

    The keys are on the screen: arrows move, relative to the facing where agents turn (q and e), space cleans, f fires,
    s stays, numbers choose where nothing moves.
    """
    from .play import play as played

    print(played(game, agent, run, seed=seed, settings=settings or []))


@app.command(
    epilog="""Examples:

    paymaster solve coin_game/ivanov-3x3

    paymaster solve coin_game/ivanov-7x7 --discount 0.99 --json

    paymaster solve coin_game/ivanov-7x7 --out solved/coin-7x7

    paymaster solve cleanup/lio-7x7 --favour 0.2
    """
)
def solve(
    game: Annotated[str, typer.Argument(metavar="GAME", help="A game small enough for a table of its states.")],
    settings: Settings = None,
    alpha: Annotated[float, typer.Option(help="The principal maximises welfare / alpha - payments.")] = 0.1,
    discount: Annotated[
        float | None, typer.Option(help="Solve the stationary game; the finite horizon without.")
    ] = None,
    favour: Annotated[
        float, typer.Option(help="By what share the principal weighs each agent's rewards less than the one's before.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Everything that was found.")] = False,
    rounds: Annotated[
        bool, typer.Option("--rounds", help="Tell the rounds of the meta-algorithm, which find the principal again.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the policies, which `render` can play.")] = None,
    plugins: Plugins = None,
) -> None:
    """Compute a game's exact equilibria: the optimum, what selfishness gives, what a principal pays."""
    from .solve import Request, solved

    print(solved(Request(game, settings or [], alpha, discount, favour, as_json, rounds, out)))


@app.command(
    name="self-interest",
    epilog="""Examples:

    paymaster self-interest matrix/iterated-prisoners-dilemma --seeds 5

    paymaster self-interest cleanup/lio-7x7 --set steps=1000000 --out runs/mine
    """,
)
def self_interest(
    game: Annotated[str, typer.Argument(metavar="GAME", help="A game of two agents or more.")],
    algorithm: Annotated[str, typer.Option(help="How agents learn: ppo or dqn.")] = "ppo",
    seeds: Annotated[int, typer.Option(help="How many seeds at every level, two at least.")] = 3,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Runs at a time; one a core unless given.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the runs and what they come to.")] = Path("runs/self-interest"),
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything that was found.")] = False,
) -> None:
    """Search, by learning, for the largest part of its reward that every agent may keep and they still cooperate.

    Every agent has a network of its own unless --set policies=shared. Runs that were cut go on where they stopped.
    """
    from .self_interest import Request, search_and_tell

    sys.exit(search_and_tell(Request(game, algorithm, seeds, seed, workers, out, settings or [], as_json)))


@app.command(
    epilog="""Examples:

    paymaster audit runs/coin-3x3

    paymaster audit runs/quick/coin_game__ivanov-3x3/principal-dqn/dqn/s0-... --json
    """
)
def audit(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN|DIR...", help="Folders of runs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything that was found, of every agent.")] = False,
    plugins: Plugins = None,
) -> None:
    """Judge trained contracts and learned agents exactly: what they give, and what anybody gains by deviating.

    What is found stays in each run's folder as audit.json, and stands in comparisons from then on.
    """
    from .audit import audit_and_tell

    sys.exit(audit_and_tell(paths, as_json=as_json))


@app.command(epilog="Example: paymaster show runs/single/cleanup__lio-7x7/principal-ppo/ppo/s0-... --out rates.png")
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run whose principal promises rates.")],
    out: Annotated[Path, typer.Option(help="The picture, a .png.")] = Path("rates.png"),
    plugins: Plugins = None,
) -> None:
    """Tell and draw what a run's contracts promise: mean rates by step, and by how much there is of what on the map."""
    from .show import show as shown

    print(shown(run, out))


@app.command(epilog="Example: paymaster speed coin_game/ivanov-7x7 --set observation=egocentric")
def speed(
    game: Annotated[str, typer.Argument(metavar="GAME", help="What is played.")] = "coin_game/ivanov-7x7",
    settings: Settings = None,
    training: Annotated[bool, typer.Option("--training", help="PPO from end to end instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The rates and ratios as JSON.")] = False,
    plugins: Plugins = None,
) -> None:
    """Measure how fast a game steps, and is sampled, policy included, against RLlib's own runner in the same run.

    With --training, how fast PPO trains on it against RLlib's own PPO: same network, samples, minibatches and epochs.
    """
    from ..speed.stepping import speed as measured
    from ..speed.stepping import training_speed

    print((training_speed if training else measured)(game, settings or [], as_json=as_json))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. A mistake of the user's ends with exit code 2 and one message."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(app(arguments, prog_name="paymaster", standalone_mode=False) or 0)
    except UsageError as error:
        sys.exit(_refused(str(error)))
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except Exception as error:
        message = getattr(error, "format_message", None)  # typer's own refusals: unknown options, wrong types
        if message is None:
            raise
        sys.exit(_refused(f"{message()} (got: paymaster {shlex.join(arguments)})") if arguments else MISUSED)


def _refused(message: str) -> int:
    print(f"paymaster: {message}", file=sys.stderr)
    return MISUSED
