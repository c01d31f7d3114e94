"""Detects the units of a plan in this process, or in several of this machine.

A small network on a CPU gains little from more threads and much from more processes; with several
GPUs each has a process. What a unit gives does not depend on how many processes there are: batches
depend on the unit alone, and every process computes with the same number of threads, which `load`
sees to.
"""

import multiprocessing
import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from orn.shared.errors import DetectorError
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.jobs.workers import in_workers
from orn.shared.shards.plan import Unit
from orn.stage1_detect.pipeline import Detector, UnitDetector, UnitResult, UnitWork


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """Processes of this machine."""

    load: Callable[[str], Detector]
    """Makes the detector on the device of this name; must survive pickling."""
    devices: tuple[str, ...]
    """The device of each process; with one, this process does the work itself."""

    @property
    def driver_device(self) -> str | None:
        """The device on which this process detects; None if it leaves that to others."""
        has_several_gpus = len(self.devices) > 1 and self.devices[0] != "cpu"
        return None if has_several_gpus else self.devices[0]

    @property
    def device_type(self) -> str:
        """`cpu` or `cuda`."""
        return self.devices[0].partition(":")[0]

    def joined(self) -> AbstractContextManager[None]:
        """Nothing is needed."""
        return nullcontext()

    def run(self, work: UnitWork) -> Iterator[UnitResult]:
        """Detects as many units at a time as there are devices; see `work`.

        Raises:
            DetectorError: if a process ends abruptly; also what `load` raises.
        """
        if min(len(self.devices), len(work.units)) > 1:
            return self._run_in_processes(work)
        if self.driver_device is None:  # the detector of this process has an entry only
            work = replace(work, detector=self.load(self.devices[0]))
        return run_here(work)

    def _run_in_processes(self, work: UnitWork) -> Iterator[UnitResult]:
        worker = _Worker(self, work)
        num_told = num_done = 0

        def tell() -> None:
            nonlocal num_told
            num_new = _drained(worker.frames)
            num_told += num_new
            work.advance(num_new)

        lost = DetectorError(
            f"a detect process of {work.folder} ended abruptly (out of memory?); what it said is "
            "above, shards that are whole stay; go on with fewer --workers"
        )
        results = in_workers(worker, work.units, workers=len(self.devices), lost=lost, tick=tell)
        for _, result in results:
            num_done += result.frames
            yield result
        work.advance(num_done - num_told)  # what is still on its way through the queue


def run_here(work: UnitWork) -> Iterator[UnitResult]:
    """Detects unit by unit in this process; see `work`."""
    detect = UnitDetector(work.detector, videos=work.videos, folder=work.folder, batch=work.batch)
    for unit in work.units:
        with terminated_as_interrupted():
            result = detect(unit, work.advance)
        yield result


class _Worker:
    """Detects units in a process of its own, on a device that no other process has taken."""

    def __init__(self, engine: LocalEngine, work: UnitWork) -> None:
        context = multiprocessing.get_context("spawn")
        self.frames: Any = context.Queue()
        self._free = context.SimpleQueue()
        for device in engine.devices:
            self._free.put(device)
        self._load = engine.load
        self._job: dict[str, Any] = {
            "videos": dict(work.videos),
            "folder": work.folder,
            "batch": work.batch,
        }

    @cached_property
    def _detect(self) -> UnitDetector:
        return UnitDetector(self._load(self._free.get()), **self._job)

    def __call__(self, unit: Unit) -> UnitResult:
        return self._detect(unit, self.frames.put)


def _drained(frames: Any) -> int:
    total = 0
    while True:
        try:
            total += frames.get_nowait()
        except queue.Empty:
            return total
