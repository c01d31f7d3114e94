"""What `orn bench gpu` runs: a measurement, and what it is told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and how large to measure."""

    device: str
    """`cpu`, `cuda` or `cuda:N`."""
    short: bool
    """Whether only to show that everything runs, on small pictures."""
    work: Path
    """Folder of made films, weights and clips."""
    out: Path
    """Folder of the records."""

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a card."""
        return self.device.startswith("cuda")


Measure = Callable[[Setting], dict[str, Any]]
"""Gives a record, whose `headline` is for people; must survive pickling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measurement."""

    name: str
    """Of its record, NAME.json."""
    measure: Measure
