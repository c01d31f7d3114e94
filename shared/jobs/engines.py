"""Where the units of a job are done: in this process, in several of this machine, or on Ray.

A small network on a CPU gains little from more threads and much from more processes; with several
GPUs each has a process. What a unit gives does not depend on how many processes there are.
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
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.jobs.work import Advance, Engine, Run, UnitResult, Work, Worker
from orn.shared.jobs.workers import in_workers


def choose_engine(
    asked: EngineOptions, *, device: str = "cpu", error: type[PipelineError] = ConfigError
) -> Engine:
    """Return the engine that is asked for.

    Args:
        device: `cpu`, `cuda`, `cuda:1` or `auto`.
        error: what to raise if there is no such device.

    Raises:
        ConfigError: if the options contradict each other.
        error: if there is no such device.
    """
    if asked.engine == "ray":
        if device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"--engine ray: expected --device auto, cpu or cuda, got {device!r}; Ray chooses "
                "the GPU of each actor"
            )
        return RayEngine(device=device, workers=asked.workers, address=asked.address)
    if asked.address is not None:
        raise ConfigError(f"--address {asked.address}: only --engine ray has one")
    return LocalEngine(devices=devices_of_workers(device, asked.workers, error=error))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """This process, or several of this machine."""

    devices: tuple[str, ...]
    """The device of each process; with one, this process does the work itself."""

    @property
    def here(self) -> str | None:
        """The device of this process; None where each GPU has a process of its own."""
        has_several_gpus = len(self.devices) > 1 and self.devices[0] != "cpu"
        return None if has_several_gpus else self.devices[0]

    @property
    def device_type(self) -> str:
        """`cpu` or `cuda`."""
        return self.devices[0].partition(":")[0]

    @contextmanager
    def ready(self, work: Work, num_units: int) -> Iterator[Run]:
        """Open the work if this process does it.

        Raises:
            PipelineError: what opening it raises; later, if a process ends abruptly.
        """
        if min(len(self.devices), num_units) > 1:
            yield partial(_in_processes, work, self.devices)
        else:
            yield partial(_here, work.open(self.devices[0]))


IN_THIS_PROCESS = LocalEngine(devices=("cpu",))
"""Does units in this process, on the CPU."""


def _here(worker: Worker, units: Sequence[Unit], advance: Advance) -> Generator[UnitResult]:
    for unit in units:
        with terminated_as_interrupted():
            result = worker(unit, advance)
        yield result


def _in_processes(
    work: Work, devices: tuple[str, ...], units: Sequence[Unit], advance: Advance
) -> Generator[UnitResult]:
    task = _OpenedOnce(work, devices)
    num_told = num_done = 0

    def tell() -> None:
        nonlocal num_told
        num_new = _drained(task.steps)
        num_told += num_new
        advance(num_new)

    folder = work.path(units[0]).parent
    lost = PipelineError(
        f"a process that works on {folder} ended abruptly (out of memory?); what it said is above, "
        "files that are whole stay; go on with fewer --workers"
    )
    for _, result in in_workers(task, units, workers=len(devices), lost=lost, tick=tell):
        num_done += result.steps
        yield result
    advance(num_done - num_told)  # what is still on its way through the queue


class _OpenedOnce:
    """Does units in a process of its own, on a device that no other process has taken."""

    def __init__(self, work: Work, devices: tuple[str, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self.steps: Any = context.Queue()
        self._free = context.SimpleQueue()
        for device in devices:
            self._free.put(device)
        self._work = work

    @cached_property
    def _worker(self) -> Worker:
        return self._work.open(self._free.get())

    def __call__(self, unit: Unit) -> UnitResult:
        return self._worker(unit, self.steps.put)


def _drained(steps: Any) -> int:
    total = 0
    while True:
        try:
            total += steps.get_nowait()
        except queue.Empty:
            return total
