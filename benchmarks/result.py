"""What a benchmark found, how it is printed and how it is kept."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from shared.cli_options import echo_json
from shared.environment import describe_environment
from shared.jobs.atomic_file import write_text

__all__ = ["BenchResult", "describe_machine", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """Ours against a reference, measured in one run."""

    name: str
    """Name of the benchmark."""
    ratio: float
    """How many times ours is better; what that means for this benchmark is in its help."""
    ours: float
    """What was measured of ours, in `unit`."""
    reference: float
    """What was measured of the reference, in `unit`."""
    unit: str
    """`seconds` or `bytes`."""
    details: Mapping[str, Any]
    """Everything else that was measured, and the sizes that it was measured at."""

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON has them, with the machine and the versions."""
        return {
            "benchmark": self.name,
            "ratio": self.ratio,
            f"ours_{self.unit}": self.ours,
            f"reference_{self.unit}": self.reference,
            **self.details,
            "machine": describe_machine(),
        }


def describe_machine() -> dict[str, Any]:
    """Processor, cores and versions; nothing that names the host or its folders."""
    environment = describe_environment()
    kept = ("commit", "python", "platform", "cpus")
    return {
        "processor": _processor(),
        **{name: environment[name] for name in kept},
        "versions": {
            name: version
            for name, version in environment["versions"].items()
            if name in ("torch", "torchvision", "mmdet", "mmcv-lite", "av", "zarr", "h5py", "numpy")
        },
    }


def publish(result: BenchResult, *, as_json: bool, out: Path | None) -> None:
    """Prints a result, as one JSON object or a line, and keeps it in a file where one is given."""
    if out is not None:
        write_text(out, json.dumps(result.as_json(), indent=2, allow_nan=False) + "\n")
    if as_json:
        echo_json(result.as_json())
        return
    click.echo(
        f"{result.name}: ratio {result.ratio:.3g} "
        f"(ours {result.ours:.4g} {result.unit}, reference {result.reference:.4g} {result.unit})"
    )
    for name, value in result.details.items():
        click.echo(f"  {name}: {value}")


def _processor() -> str:
    """The processor's model as Linux has it, else what Python knows."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
