"""The arguments and options of the commands: first those that several commands share, then those of each."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...core.version import VERSION

option = partial(typer.Option, show_default=False)  # help texts state their defaults, also those for which None stands
flag = partial(option, metavar="")


class Format(StrEnum):
    """The format of a comparison."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"


def _load_plugins(modules: list[str] | None) -> None:
    from ...core.registry import load_plugin

    for module in modules or []:
        load_plugin(module)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"paymaster {VERSION}")
        raise typer.Exit


Plugins = Annotated[
    list[str] | None,
    option(
        "--plugin",
        metavar="MODULE",
        callback=_load_plugins,
        help="Python module, in this folder or installed, with your own games, mechanisms or learners (repeatable).",
    ),
]
Settings = Annotated[
    list[str] | None,
    option(
        "--set",
        metavar="KEY=VALUE",
        help="Value for a rule, a parameter of the mechanism, a setting of a learner or a budget (repeatable).",
    ),
]
Rules = Annotated[
    list[str] | None, option("--set", metavar="KEY=VALUE", help="Value for a rule of the game (repeatable).")
]
Workers = Annotated[int | None, option(metavar="N", help="Number of parallel runs (default: one per core).")]
AsJson = Annotated[bool, flag("--json", help="Print JSON.")]

# paymaster
Version = Annotated[bool, flag("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")]

# paymaster list
Listed = Annotated[
    str | None,
    typer.Argument(
        metavar="[games|mechanisms|algorithms|suites|ID]", help="What to list, or one thing of which to tell all."
    ),
]

# paymaster run
RunTarget = Annotated[
    str,
    typer.Argument(
        metavar="SUITE|FILE.yaml|GAME|run.json",
        help="Suite by its name, suite of your own, single game, or record of a run to repeat.",
    ),
]
RunsFolder = Annotated[Path | None, option(metavar="FOLDER", help="Folder for the runs (default: runs/NAME).")]
Seeds = Annotated[
    int | None,
    option(metavar="N", help="Number of seeds, 1 or more (default: the suite's own number; 1 for a GAME)."),
]
FirstSeed = Annotated[int | None, option(metavar="N", help="First seed, 0 or more (default: 0).")]
Address = Annotated[
    str | None,
    option(
        metavar="ADDRESS",
        help="Address of a Ray cluster whose machines share the folder of the runs (default: this machine alone).",
    ),
]
DryRun = Annotated[
    bool, option("--dry-run", help="Only say what would be made, and about how long it takes; nothing is written.")
]
MechanismId = Annotated[
    str | None, option(metavar="ID", help="Mechanism under which a single GAME is played (default: selfish).")
]
AlgorithmId = Annotated[
    str | None,
    option(
        metavar="ID",
        help="Algorithm of the agents in a single GAME: dqn, ppo, a2c, vdn, advantage-alignment, lola, pola, mixed, "
        "follow, scripted, ccc, beside, best-response or your own (default: dqn). Under follow, scripted, ccc, beside "
        "and best-response agents do not learn.",
    ),
]
Additions = Annotated[
    list[str] | None,
    option(
        "--add",
        metavar="MECHANISM[/ALGORITHM]",
        help="Run to put beside those of a suite, at its budget, seeds and settings (repeatable); without ALGORITHM it "
        "has the one of most of the suite's runs. A mechanism of the suite keeps the parameters and the trained "
        "principal of its first run there.",
    ),
]

# paymaster compare
ComparedPaths = Annotated[
    list[Path],
    typer.Argument(metavar="DIR|TABLE...", help="Folders of runs, and CSV tables of earlier comparisons."),
]
LeaguePaths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[DIR|TABLE...]", help="Folders of your own runs, and CSV tables, beside the reference."),
]
LeagueGame = Annotated[
    str | None,
    option("--game", help="One game, or family of games: what stands there, and what it pays.", metavar="GAME"),
]
ComparisonFormat = Annotated[
    Format,
    option("--format", help="Format of the comparison (default: table). csv keeps every seed and can be read again."),
]
Against = Annotated[
    str | None,
    option(
        metavar="ID",
        help="Mechanism to which differences in welfare are taken, within one learner and budget (default: selfish).",
    ),
]
Everything = Annotated[
    bool, option("--all", help="Print every column, the audits, every seed and published numbers, not only the first.")
]
ComparisonFile = Annotated[
    Path | None,
    option(
        metavar="FILE",
        help="File to write to (default: the terminal). A JSON file beside it says how the comparison was made.",
    ),
]

# paymaster crossplay
CrossPlayFolder = Annotated[
    Path, typer.Argument(show_default=False, metavar="DIR", help="Folder of runs of one game under the same rules.")
]
CrossPlayEpisodes = Annotated[
    int, option(metavar="N", help="Episodes of each pairing, 2 or more (default: 256).", min=2)
]
CrossPlayFile = Annotated[
    Path | None,
    option(
        metavar="FILE",
        help="File to write to, .csv, .md or .json (default: the terminal). A .json beside it says how it was made.",
    ),
]

# paymaster tune

TunedSuite = Annotated[str, typer.Argument(show_default=False, metavar="SUITE", help="Suite, or your own YAML file.")]
Trials = Annotated[int, option(metavar="N", help="Trials of each mechanism, 2 or more (default: 16).")]
TrialSeeds = Annotated[int, option("--seeds", metavar="N", help="Seeds of each trial, from 100 on (default: 1).")]
TrialsFile = Annotated[
    Path | None, option("--out", metavar="FILE", help="Table of trials (default: results/tuning/SUITE.csv).")
]

# paymaster render
RenderTarget = Annotated[
    str, typer.Argument(metavar="GAME|FOLDER", help="Game to play at random, or folder of a run or of a solution.")
]
EpisodeFile = Annotated[
    Path | None,
    option(metavar="FILE", help="File to draw to: .gif or .mp4, or .png for one time step (default: a window)."),
]
EpisodeSeed = Annotated[
    int,
    option(min=0, metavar="N", help="Random seed of the episode (default: 0). A run's episode is recorded already."),
]
TimeStep = Annotated[
    int | None, option(min=0, metavar="N", help="Time step to draw (.png only; default: 0, the start).")
]

# paymaster play
PlayedGame = Annotated[str, typer.Argument(metavar="GAME", help="Game to play.")]
Agent = Annotated[
    str | None, option(metavar="AGENT", help="Agent that you steer, by its name or number (default: the first).")
]
RunFolder = Annotated[
    Path | None,
    option(
        metavar="FOLDER",
        help="Folder of a run whose mechanism holds and whose policies play the other agents "
        "(default: no mechanism, random play).",
    ),
]
PlaySeed = Annotated[
    int, option(min=0, metavar="N", help="Random seed of the episodes and of random play (default: 0).")
]

# paymaster solve
TabularGame = Annotated[
    str, typer.Argument(metavar="GAME|FILE.csv", help="Game small enough for a table of its states, or payoffs.")
]
Alpha = Annotated[
    float,
    option(
        metavar="NUMBER",
        help="Price of money, above 0: the principal maximises welfare / alpha - payments (default: 0.1).",
    ),
]
Discount = Annotated[
    float | None,
    option(
        metavar="NUMBER",
        help="Discount factor of the stationary game, from 0 (myopic) up to 1; omit to solve the finite-horizon game.",
    ),
]
Favour = Annotated[
    float,
    option(
        metavar="NUMBER",
        help="Preference for earlier agents, 0 or more and below 1: agent i's reward counts (1 - favour)^i in the "
        "principal's welfare (default: 0).",
    ),
]
Iterations = Annotated[bool, flag("--rounds", help="Print each iteration of the meta-algorithm.")]
PoliciesFolder = Annotated[
    Path | None,
    option(metavar="FOLDER", help="Folder for the policies, which `paymaster render` plays (default: not kept)."),
]

# paymaster self-interest
SeveralAgentsGame = Annotated[str, typer.Argument(metavar="GAME", help="Game of two agents or more.")]
SearchAlgorithm = Annotated[
    str,
    option(metavar="ID", help="Algorithm by which the agents learn: ppo, dqn, a2c or your own (default: ppo)."),
]
SearchSeeds = Annotated[int, option(metavar="N", help="Number of seeds at each level, 3 or more (default: 3).")]
SearchFirstSeed = Annotated[int, option(metavar="N", help="First seed, 0 or more (default: 0).")]
SearchFolder = Annotated[
    Path,
    option(metavar="FOLDER", help="Folder for the runs and the result (default: runs/self-interest)."),
]

# paymaster report
ReportedFolder = Annotated[
    Path, typer.Argument(metavar="DIR", show_default=False, help="Folder of runs, or one that holds some.")
]
ReportFile = Annotated[Path, option(metavar="FILE.html", help="File for the report (default: report.html).")]

# paymaster audit
AuditedPaths = Annotated[
    list[Path], typer.Argument(metavar="RUN|DIR...", help="Folders of runs, or folders that hold some.")
]
AuditAsJson = Annotated[bool, flag("--json", help="Print JSON, with the gains of each agent.")]

# paymaster show
PrincipalRun = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run whose principal offers payments.")]
PictureFile = Annotated[Path, option(metavar="FILE.png", help="File for the picture, a .png (default: rates.png).")]

# paymaster speed
SpeedGame = Annotated[
    str, typer.Argument(metavar="GAME", show_default=False, help="Game to step (default: coin_game/ivanov-7x7).")
]
TrainingSpeed = Annotated[bool, flag("--training", help="Benchmark PPO's training throughput instead.")]
