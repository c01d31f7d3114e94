"""Engines that run the units of a job: this process, local processes, or Ray.

For a small network on a CPU, several processes are faster than several threads; each GPU has one
process. Results do not depend on the number of processes.
"""

import multiprocessing
import queue
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from orn.shared.common_options import EngineOptions
from orn.shared.devices import devices_of_workers
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.plan import Unit
from orn.shared.jobs.ray_engine import RayEngine
from orn.shared.jobs.run_units import Advance, Engine, UnitFunction, UnitResult, UnitRunner, Work
from orn.shared.jobs.workers import in_workers, terminated_as_interrupted


def choose_engine(
    asked: EngineOptions, *, device: str = "cpu", error: type[PipelineError] = ConfigError
) -> Engine:
    """Return the engine for the given options.

    Args:
        asked: options of the command.
        device: `cpu`, `cuda`, `cuda:1` or `auto`.
        error: type of the error if the device does not exist.

    Raises:
        ConfigError: if the options contradict each other.
        error: if the device does not exist.
    """
    if asked.engine == "ray":
        if device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"--engine ray: expected --device auto, cpu or cuda, got {device!r}; omit the "
                "number, since Ray assigns GPUs to actors"
            )
        return RayEngine(device=device, workers=asked.workers, address=asked.address)
    if asked.address is not None:
        raise ConfigError(f"--address {asked.address} requires --engine ray; add it")
    return LocalEngine(devices=devices_of_workers(device, asked.workers, error=error))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """Engine that runs units in this process or in several local processes."""

    devices: tuple[str, ...]
    """Device of each process; a single device is used in this process."""

    @property
    def own_device(self) -> str | None:
        """Device of this process; None if other processes do the work."""
        has_several_gpus = len(self.devices) > 1 and self.devices[0] != "cpu"
        return None if has_several_gpus else self.devices[0]

    @property
    def device_type(self) -> str:
        """`cpu` or `cuda`."""
        return self.devices[0].partition(":")[0]

    @contextmanager
    def ready(self, work: Work, num_units: int) -> Iterator[UnitRunner]:
        """Open the work if it runs in this process.

        Raises:
            PipelineError: if the work cannot be opened; later, if a process ends unexpectedly.
        """
        if min(len(self.devices), num_units) > 1:
            yield partial(_in_processes, work, self.devices)
        else:
            yield partial(_in_this_process, work.open(self.devices[0]))


IN_THIS_PROCESS = LocalEngine(devices=("cpu",))
"""Engine that runs in this process, on the CPU."""


def _in_this_process(
    write_unit: UnitFunction, units: Sequence[Unit], advance: Advance
) -> Generator[UnitResult]:
    for unit in units:
        with terminated_as_interrupted():
            result = write_unit(unit, advance)
        yield result


def _in_processes(
    work: Work, devices: tuple[str, ...], units: Sequence[Unit], advance: Advance
) -> Generator[UnitResult]:
    task = _OpenedOnce(work, devices)
    num_counted = num_done = 0

    def count() -> None:
        nonlocal num_counted
        num_new = _drained(task.steps)
        num_counted += num_new
        advance(num_new)

    folder = work.path(units[0]).parent
    lost = PipelineError(
        f"{folder}: a worker process ended abruptly (out of memory?); see its output above. "
        "Finished files are kept; resume with fewer --workers"
    )
    for _, result in in_workers(task, units, workers=len(devices), lost=lost, tick=count):
        num_done += result.steps
        yield result
    advance(num_done - num_counted)  # steps that are still in the queue


class _OpenedOnce:
    """The function for units of a process, opened once on the process's own device."""

    def __init__(self, work: Work, devices: tuple[str, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self.steps: Any = context.Queue()
        self._free = context.SimpleQueue()
        for device in devices:
            self._free.put(device)
        self._work = work

    @cached_property
    def _write_unit(self) -> UnitFunction:
        return self._work.open(self._free.get())

    def __call__(self, unit: Unit) -> UnitResult:
        return self._write_unit(unit, self.steps.put)


def _drained(steps: Any) -> int:
    total = 0
    while True:
        try:
            total += steps.get_nowait()
        except queue.Empty:
            return total
