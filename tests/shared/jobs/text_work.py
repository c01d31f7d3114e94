"""Units that become texts, and work that waits, dies or refuses."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from orn.shared.errors import DetectorError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.jobs.pack_videos import plan_units
from orn.shared.jobs.plan import FailedVideo, OutputFolder, Plan, Unit
from orn.shared.jobs.progress import TERMINAL
from orn.shared.jobs.run_units import (
    Advance,
    Engine,
    Job,
    JobResult,
    UnitFunction,
    UnitResult,
    run_units,
)

STEPS = 9
UNITS = plan_units([(name, STEPS) for name in "012"], unit_frames=STEPS)
TEXTS = OutputFolder(command="orn write", stem="text", suffix=".txt", index="write.json")
WHOLE = {f"text-00000{name}.txt": name * STEPS for name in "012"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextWork:
    """Writes the id of a unit's video as often as it has steps; `lost` is a video that fails."""

    folder: Path
    lost: str = ""

    def path(self, unit: Unit) -> Path:
        return TEXTS.path(self.folder, unit.index)

    def open(self, device: str) -> UnitFunction:
        return self.write

    def write(self, unit: Unit, advance: Advance) -> UnitResult:
        name = unit.parts[0].video_id
        failed = (FailedVideo(id=name, reason="no file"),) if name == self.lost else ()
        with replacing(self.path(unit)) as temporary, temporary.open("w") as file:
            for _ in range(0 if failed else STEPS):
                file.write(name)
                advance(1)
        return UnitResult(unit=unit.index, steps=0 if failed else STEPS, failed=failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing(TextWork):
    """Cannot be opened."""

    def open(self, device: str) -> UnitFunction:
        raise DetectorError(f"no detector on {device}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadly(TextWork):
    """Gets a signal in its second unit, or ends its process in the first as out of memory."""

    number: int = signal.SIGKILL

    def write(self, unit: Unit, advance: Advance) -> UnitResult:
        if self.number == signal.SIGKILL:
            os._exit(1)
        if unit.index == 1:
            advance = self._die
        return TextWork.write(self, unit, advance)

    def _die(self, steps: int) -> None:
        os.kill(os.getpid(), self.number)


def run_texts(work: TextWork, engine: Engine, **options: object) -> JobResult:
    """Makes the texts of `UNITS`."""
    plan = Plan(dataset="texts", frames="all", units=UNITS)
    job = Job(files=TEXTS, folder=work.folder, plan=plan, units=UNITS, **options)  # type: ignore[arg-type]
    return run_units(job, work, engine, TERMINAL, task="write", steps="frames")


def texts_in(folder: Path) -> dict[str, str]:
    """The texts by name."""
    return {path.name: path.read_text() for path in folder.glob(TEXTS.pattern)}
