"""No mechanism: what happens when nobody pays and nobody promises."""

from __future__ import annotations

from ..contracts.mechanism import Mechanism
from ..core.config import configuration


@configuration
class Selfish(Mechanism):
    """Agent `i` earns `r_i`, what the environment gives it. No money of any kind; the control of every comparison."""
