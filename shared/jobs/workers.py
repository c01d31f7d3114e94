"""Parallel tasks in threads and processes on this machine."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from orn.shared.errors import PipelineError
from orn.shared.jobs.log_lines import use_lines_in_worker
from orn.shared.jobs.termination import interrupts_delayed, terminated_as_interrupted

T = TypeVar("T")
R = TypeVar("R")

_POLL_SECONDS = 0.5
_AHEAD = 2
"""Number of submitted tasks per worker: one running and one waiting."""

_THREADS = 32
_AT_ONCE = 16
"""Number of tasks per submission to a thread."""

_work: Callable[[Any], Any]
"""Function that a worker process calls with each task."""


def in_threads(work: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    """Return the result of each task in order, computed in threads.

    For tasks that mostly wait, such as requesting a file's size from network storage. An error
    stops all tasks.
    """
    parts = [tasks[start : start + _AT_ONCE] for start in range(0, len(tasks), _AT_ONCE)]
    if len(parts) < 2:
        return [work(task) for task in tasks]
    with ThreadPoolExecutor(_THREADS) as threads:
        done = threads.map(lambda part: [work(task) for task in part], parts)
        return list(chain.from_iterable(done))


def in_workers(
    work: Callable[[T], R],
    tasks: Sequence[T],
    *,
    workers: int,
    lost: PipelineError,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[T, R]]:
    """Yield each task with its result, in order of completion; a single one runs in this process.

    Workers are spawned, not forked, and ignore signals. If this process ends or raises an
    exception, including Ctrl-C and SIGTERM, they are terminated immediately.

    Args:
        work: function of one task; must be picklable; pickled once per worker.
        tasks: picklable tasks.
        workers: maximum number of processes.
        lost: exception to raise if a worker ends unexpectedly.
        tick: called periodically while waiting for results.
    """
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            with terminated_as_interrupted():
                result = work(task)
            yield task, result
        return
    context = get_context("spawn")
    lifeline, end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=context, initializer=_begin, initargs=(lifeline, work)
    )
    try:
        yield from _results(pool, tasks, most=_AHEAD * workers, tick=tick)
    except BaseException as err:
        end.close()
        if isinstance(err, BrokenProcessPool):
            raise lost from err
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        end.close()
        lifeline.close()


def _results(
    pool: ProcessPoolExecutor, tasks: Iterable[T], *, most: int, tick: Callable[[], None]
) -> Iterator[tuple[T, Any]]:
    left = iter(tasks)
    pending: dict[Future[Any], T] = {}
    while True:
        with interrupts_delayed():  # inherited by the processes that are started here
            for task in islice(left, most - len(pending)):
                pending[pool.submit(_do, task)] = task
        if not pending:
            return
        with terminated_as_interrupted():
            done, _ = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        tick()
        for future in done:
            yield pending.pop(future), future.result()


def _begin(lifeline: Connection, work: Callable[[Any], Any]) -> None:
    """Initialize a worker process, which ignores signals and ends with its parent."""
    global _work
    _work = work
    use_lines_in_worker()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe is closed, even if the parent was killed."""
    lifeline.poll(None)
    os._exit(1)


def _do(task: Any) -> Any:
    return _work(task)
