"""Does the steps of the demo one after another and remembers which are done.

A step whose arguments are unchanged and whose outputs are there is not done again.
"""

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic_core import to_jsonable_python

from orn.shared.environment import usable_cores
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.commands import run_orn
from orn.shared.jobs.termination import terminated_as_interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do."""

    name: str
    title: str
    action: Callable[..., object]
    arguments: Mapping[str, Any]
    """Of the action, by keyword: strings, numbers, paths, records of these."""
    outputs: tuple[Path, ...]
    """Files that exist once the step is done."""

    def known_by(self) -> Any:
        """The arguments as JSON has them."""
        return to_jsonable_python(dict(self.arguments))


def call(name: str, title: str, action: Callable[..., object], *outputs: Path, **kw: Any) -> Step:
    """A step that calls a function with these keywords."""
    return Step(name=name, title=title, action=action, arguments=kw, outputs=outputs)


def command(name: str, title: str, *arguments: str, outputs: Sequence[Path]) -> Step:
    """A step that runs `orn` with these arguments in a process of its own, which keeps its threads
    and its memory."""
    return call(name, title, _run, *outputs, command=arguments)


def store_clips(dataset: str, root: Path, out: Path) -> None:
    """Stores the frames of a data set.

    Raises:
        PipelineError: some films could not be decoded.
    """
    from orn.shared.options import EngineOptions
    from orn.stage2_train.frames.make_clips import make_clips
    from orn.stage2_train.frames.request import ClipsRequest

    engine = EngineOptions(workers=min(8, usable_cores()))
    request = ClipsRequest(manifest=dataset, data_root=root, out=out, engine=engine)
    failed = make_clips(request)["failed"]
    if failed:
        raise PipelineError(f"{out}: could not decode {failed[0]['id']}: {failed[0]['reason']}")


class StepRecord:
    """Which steps are done, and how long they took, kept in a JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, dict[str, Any]] = (
            json.loads(path.read_text()) if path.exists() else {}
        )

    def is_done(self, step: Step) -> bool:
        """Whether this very step has succeeded and what it wrote is still there."""
        known = self._done.get(step.name, {}).get("arguments") == step.known_by()
        return known and all(path.exists() for path in step.outputs)

    def add(self, step: Step, seconds: float) -> None:
        """Remembers a success."""
        self._done[step.name] = {"arguments": step.known_by(), "seconds": round(seconds, 1)}
        write_text(self._path, json.dumps(self._done, indent=1) + "\n")

    def seconds(self) -> dict[str, float]:
        """Seconds each step took when it was done."""
        return {name: float(entry["seconds"]) for name, entry in self._done.items()}


def run_steps(steps: Sequence[Step], record: StepRecord) -> bool:
    """Does every step that is not done, and says on stderr which.

    Ctrl-C and SIGTERM end the step that runs, too, and we wait until it has ended.

    Returns:
        Whether any step was done.

    Raises:
        PipelineError: a step failed.
    """
    fresh = False
    with terminated_as_interrupted():
        for number, step in enumerate(steps, start=1):
            place = f"[{number}/{len(steps)}]"
            if not fresh and record.is_done(step):
                click.secho(f"{place} {step.title}: done before", err=True, dim=True)
                continue
            fresh = True  # what follows depends on this step
            click.secho(f"{place} {step.title}", err=True, bold=True)
            started = time.monotonic()
            step.action(**step.arguments)
            record.add(step, time.monotonic() - started)
    return fresh


def _run(command: Sequence[str]) -> None:
    click.secho(f"    {shlex.join(['orn', *command])}", err=True, dim=True)
    run_orn(command, stdout=subprocess.DEVNULL)
