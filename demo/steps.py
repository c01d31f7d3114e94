"""Runs the commands of the demo one after another and remembers which are done.

Each step is a command that a user could type. A step whose command is unchanged and whose outputs
are there is not run again.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from shared.errors import PipelineError
from shared.jobs.atomic_file import write_text
from shared.jobs.termination import Terminated, terminated_as_interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the demo."""

    name: str
    title: str
    arguments: tuple[str, ...]
    """What follows `orn` on the command line."""
    outputs: tuple[Path, ...]
    """Files that exist once the step is done."""


class StepRecord:
    """Which steps are done, and how long they took, kept in a JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, dict[str, object]] = (
            json.loads(path.read_text()) if path.exists() else {}
        )

    def is_done(self, step: Step) -> bool:
        """Whether this very command has succeeded and what it wrote is still there."""
        known = self._done.get(step.name, {}).get("arguments") == list(step.arguments)
        return known and all(path.exists() for path in step.outputs)

    def add(self, step: Step, seconds: float) -> None:
        """Remember a success."""
        self._done[step.name] = {"arguments": list(step.arguments), "seconds": round(seconds, 1)}
        write_text(self._path, json.dumps(self._done, indent=1) + "\n")

    def seconds(self) -> dict[str, float]:
        """Seconds each step took when it was run."""
        return {name: float(str(entry["seconds"])) for name, entry in self._done.items()}


def run_steps(steps: Sequence[Step], record: StepRecord) -> bool:
    """Run every step that is not done; show its command and let its progress through.

    Ctrl-C and SIGTERM end the step that runs, too, and we wait until it has ended.

    Returns:
        Whether any step was run.

    Raises:
        PipelineError: a step failed; it has said why on stderr.
    """
    fresh = False
    for number, step in enumerate(steps, start=1):
        command = shlex.join(["orn", *step.arguments])
        if not fresh and record.is_done(step):
            click.secho(f"[{number}/{len(steps)}] {step.title}: done before", err=True, dim=True)
            continue
        fresh = True  # what follows depends on this step
        click.secho(f"[{number}/{len(steps)}] {step.title}", err=True, bold=True)
        click.secho(f"    {command}", err=True, dim=True)
        started = time.monotonic()
        code = _exit_code(step)
        if code != 0:
            raise PipelineError(
                f"the step '{step.name}' ended with exit code {code}; its message is above, "
                f"and `{command}` runs it alone"
            )
        record.add(step, time.monotonic() - started)
    return fresh


def _exit_code(step: Step) -> int:
    """Runs the command of a step in a process of its own."""
    with (
        terminated_as_interrupted(),
        subprocess.Popen(
            [sys.executable, "-m", "shared.cli", *step.arguments], stdout=subprocess.DEVNULL
        ) as process,
    ):
        try:
            return process.wait()
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Terminated):  # ctrl-C reaches it from the terminal
                process.terminate()
            process.wait()
            raise
