"""A detect job with the fake detector in a process of its own, which can kill itself on the way.

    python -m tests.stage1_detect.crash_job MANIFEST OUT WORKERS WHERE SIGNAL WHOM

WHERE is `batch:N` (before the network sees batch N, counted in each process), `sync:N` (when file N
is written under its temporary name and not yet renamed) or `never`; WHOM is `self`, `parent` or
`group`, which is all processes of the job.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orn.shared.jobs.atomic_file
from orn.shared.errors import PipelineError
from orn.shared.jobs.engines import LocalEngine
from orn.shared.jobs.termination import Terminated
from orn.shared.manifests.load import load_dataset
from orn.stage1_detect.detect_request import Scope
from tests.stage1_detect.fake_jobs import plan_fake, run_fake
from tests.worlds.shards import FakeDetector

UNIT_FRAMES = 5


@dataclass(frozen=True)
class Kill:
    """Sends a signal at the N-th time that it is counted."""

    where: str
    number: int
    whom: str

    def countdown(self, place: str) -> Callable[[], None]:
        """To be called each time that `place` is passed."""
        name, _, left = self.where.partition(":")
        remaining = [int(left)] if name == place else [0]

        def count() -> None:
            remaining[0] -= 1
            if remaining[0] == 0:
                self.send()

        return count

    def send(self) -> None:
        """Sends the signal now."""
        match self.whom:
            case "parent":
                os.kill(os.getppid(), self.number)
            case "group":
                os.killpg(os.getpgrp(), self.number)
            case _:
                os.kill(os.getpid(), self.number)


class Mortal(FakeDetector):
    """The fake detector; kills as it is told."""

    def __init__(self, kill: Kill) -> None:
        super().__init__()
        self._passed = kill.countdown("batch")
        written = kill.countdown("sync")
        sync = orn.shared.jobs.atomic_file._sync

        def counted(path: Path) -> None:
            if path.is_file() and "shard" in path.name:
                written()
            sync(path)

        orn.shared.jobs.atomic_file._sync = counted

    def infer(self, prepared: Sequence[Any]) -> Sequence[Any]:
        self._passed()
        return super().infer(prepared)


@dataclass(frozen=True)
class Load:
    """Makes the detector; survives pickling."""

    kill: Kill

    def __call__(self, device: str) -> Mortal:
        return Mortal(self.kill)


def main(arguments: Sequence[str]) -> int:
    """Runs the job; its exit code is that of `orn detect`."""
    manifest, out, workers, where, number, whom = arguments
    load = Load(Kill(where=where, number=int(number), whom=whom))
    dataset = load_dataset(manifest, Path(manifest).parent / "data", labels=False)
    engine = LocalEngine(devices=("cpu",) * int(workers))
    try:
        job = plan_fake(dataset, folder=Path(out), scope=Scope(unit_frames=UNIT_FRAMES))
        return run_fake(job, load=load, batch=2, engine=engine).exit_code
    except PipelineError as err:
        sys.stderr.write(f"error: {err}\n")
        return err.exit_code
    except Terminated:
        return 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
