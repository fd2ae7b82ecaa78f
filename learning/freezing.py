"""What has been learned is frozen: its networks are in evaluation mode, and have no gradients."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def freeze(learned: T) -> T:
    """`learned` itself, whose networks, its attributes or in lists, tuples and mappings of it, are frozen from now on.

    Nothing is imported: where torch is not, there are no networks.
    """
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        parts = [learned] if isinstance(learned, torch.nn.Module) else _parts(list(vars(learned).values()))
        for part in parts:
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)
    return learned


def _parts(value: object) -> Iterator[object]:
    """What stands in `value`, at any depth of lists, tuples and mappings."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _parts(part)
    else:
        yield value
