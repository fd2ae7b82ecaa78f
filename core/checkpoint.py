"""What is kept of anything learned: arrays as safetensors with JSON beside them. Loading them never runs code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .config import UsageError


class Checkpoint(NamedTuple):
    """A description that JSON holds, and named arrays."""

    about: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = {}

    def write(self, prefix: Path) -> None:
        """Write `prefix`.json, and `prefix`.safetensors where there are arrays."""
        prefix.with_suffix(".json").write_text(json.dumps(dict(self.about), indent=1))
        if self.arrays:
            arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
            save_file(arrays, prefix.with_suffix(".safetensors"))

    @classmethod
    def read(cls, prefix: Path) -> Self:
        """What `write` wrote. Raises UsageError where it is missing or damaged."""
        path = prefix.with_suffix(".json")
        try:
            about = json.loads(path.read_text())
            path = prefix.with_suffix(".safetensors")
            arrays = load_file(path) if path.exists() else {}
        except (OSError, ValueError, SafetensorError) as error:
            raise UsageError(f"{path} cannot be read: {error}; make the run again") from None
        if not isinstance(about, dict):
            raise UsageError(f"{path} holds no description (got a {type(about).__name__}); make the run again")
        return cls(about, arrays)


class Saved(Protocol):
    """What can be kept: a class says what its checkpoint is, and how it comes back from one."""

    def checkpoint(self) -> Checkpoint:
        """All that is needed to have it back."""

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        """What gave the checkpoint. Raises KeyError, TypeError or ValueError where it is of something else."""

    def save(self, prefix: Path) -> None:
        """Write `prefix`.json, and `prefix`.safetensors where there are arrays."""
        self.checkpoint().write(prefix)

    @classmethod
    def load(cls, prefix: Path) -> Self:
        """What `save` wrote. Raises UsageError where it is missing, damaged, or of another version."""
        try:
            return cls.restored(Checkpoint.read(prefix))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{prefix} is not what this version reads ({error}): make the run again") from error
