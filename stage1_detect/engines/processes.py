"""Runs the units of a plan in several processes of this machine, each with a detector of its own.

A small network on a CPU gains little from more threads and much from more processes; with several
GPUs each has a process. What a unit gives does not depend on how many processes there are: batches
depend on the unit alone, and every process computes with the same number of threads, which `load`
sees to.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from shared.errors import DetectorError
from shared.jobs.termination import terminated_as_interrupted
from shared.jobs.worker_process import prepare_worker
from shared.manifests.records import Video
from shared.shards.plan import Unit, shard_path
from stage1_detect.detector import Detector
from stage1_detect.frame_source import FrameSource
from stage1_detect.pipeline import UnitResult, detect_unit

__all__ = ["run_units_in_processes"]

_POLL_SECONDS = 0.5

_source: FrameSource
_detector: Detector
_frames: Any
_load_error: Exception | None = None


def run_units_in_processes(
    units: Sequence[Unit],
    *,
    videos: Mapping[str, Video],
    load: Callable[[str], Detector],
    devices: Sequence[str],
    folder: Path,
    batch: int,
    advance: Callable[[int], None] = lambda frames: None,
) -> Iterator[UnitResult]:
    """Detects as many units at a time as devices are given; each result is handed out when its
    shard is on the disk.

    If anything raises, ctrl-C included, units that are not begun are dropped and those in work
    leave nothing; shards that are written stay.

    Args:
        units: what is still to do.
        videos: the videos of the plan by id.
        load: makes the detector on the device of this name; must survive pickling.
        devices: the device of each process.
        folder: where the shards go.
        batch: most frames that the network sees at once.
        advance: called with numbers of frames now and then.

    Raises:
        DetectorError: if a process ends abruptly; also what `load` raises.
    """
    context = multiprocessing.get_context("spawn")
    frames, free = context.Queue(), context.SimpleQueue()
    for device in devices:
        free.put(device)
    pool = ProcessPoolExecutor(
        min(len(devices), len(units)),
        mp_context=context,
        initializer=_prepare,
        initargs=(load, free, dict(videos), batch, frames),
    )
    try:
        pending: set[Future[UnitResult]] = {
            pool.submit(_detect, unit, shard_path(folder, unit.index)) for unit in units
        }
        num_told = num_done = 0
        while pending:
            with terminated_as_interrupted():
                done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            num_new = _drained(frames)
            num_told += num_new
            advance(num_new)
            for future in done:
                result = future.result()
                num_done += result.frames
                yield result
        advance(num_done - num_told)  # what is still on its way through the queue
    except BrokenProcessPool as err:
        raise DetectorError(
            f"a detect process of {folder} ended abruptly (out of memory?); what it said is above, "
            "shards that are whole stay; go on with fewer --workers"
        ) from err
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare(
    load: Callable[[str], Detector], free: Any, videos: dict[str, Video], batch: int, frames: Any
) -> None:
    """Makes a process ready: a detector on the next free device, and gone when its parent is."""
    global _source, _detector, _frames, _load_error
    prepare_worker(ignore=(signal.SIGINT, signal.SIGTERM))
    _frames = frames
    try:
        _detector = load(free.get())
    except Exception as err:  # the pool would only say that a process is gone
        _load_error = err
        return
    _source = FrameSource(videos, batch=batch, prepare=_detector.prepare)


def _detect(unit: Unit, path: Path) -> UnitResult:
    if _load_error is not None:
        raise _load_error
    return detect_unit(unit, source=_source, detector=_detector, path=path, advance=_frames.put)


def _drained(frames: Any) -> int:
    total = 0
    while True:
        try:
            total += frames.get_nowait()
        except queue.Empty:
            return total
