"""Does what a page of docs/guides shows, in the current folder: writes its files, and runs its commands.

    python tests/guided.py docs/guides/your-own-learner.md

Above the code of a file stands "This is `name.py`"; code without a name is run. Commands are indented by four spaces.
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from glob import glob
from pathlib import Path

CODE, COMMAND = r"^```python\n(?P<code>.*?)^```$", r"^    (?P<command>(?:paymaster|python) [^\n]+)$"
BLOCK = re.compile(f"{CODE}|{COMMAND}", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"[Tt]his is `(\w+\.py)`")


def pieces(page: str) -> Iterator[tuple[str, str]]:
    """("file name.py", its code), ("code", code) and ("command", command line), in the order of the page."""
    end = 0
    for found in BLOCK.finditer(page):
        name = NAMED.findall(page[end : found.start()])
        end = found.end()
        if found["command"]:
            yield "command", found["command"]
        else:
            yield (f"file {name[-1]}" if name else "code"), found["code"]


def run(command: str) -> None:
    """Run a command line, with its patterns of files expanded as a shell does."""
    from paymaster.benchmarks.cli.app import main

    first, *words = shlex.split(command)
    words = [path for word in words for path in (sorted(glob(word)) or [word] if "*" in word else [word])]
    if first == "python":
        runpy.run_path(words[0], run_name="__main__")
        return
    try:
        main(words)
    except SystemExit as done:
        if done.code:
            raise


def follow(page: Path) -> None:
    sys.path.insert(0, str(Path.cwd()))
    for kind, text in pieces(page.read_text()):
        if kind.startswith("file "):
            Path(kind.removeprefix("file ")).write_text(text)
        elif kind == "code":
            exec(compile(text, page.name, "exec"), {"__name__": "shown"})
        else:
            print(f"$ {text}", flush=True)
            run(text)


if __name__ == "__main__":
    follow(Path(sys.argv[1]))
