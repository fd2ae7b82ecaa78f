"""YAML as plain data: without tags, aliases and repeated keys, and with numbers such as 3e-4."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path

import yaml

from ...core.config import UsageError

FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")  # YAML 1.1 reads 3e-4 as a word
LARGEST = 1_000_000  # bytes of a file


class StrictLoader(yaml.SafeLoader):
    """SafeLoader, which runs no code, without aliases, which can expand a short file to gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for index, key in enumerate(keys) if key in keys[:index]]
        if twice:
            raise yaml.MarkedYAMLError(problem=f"{twice[0]!r} appears twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def parse(text: str, *, what: str) -> object:
    """The data in `text`. Raises UsageError, which says `what` the text is."""
    try:
        return StrictLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        quotes = "; put it in quotes" if "cannot start any token" in problem else ""
        raise UsageError(f"{what} is not plain YAML{where}: {problem}{quotes}") from None


def read(path: Path) -> object:
    """The data in a file. Raises UsageError for a file that cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than the {LARGEST:,} bytes allowed")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return parse(text, what=str(path))
