"""Parallel tasks in threads and processes on this machine, and their orderly termination by Ctrl-C
and by SIGTERM, which clusters and service managers send."""

import os
import signal
import sys
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
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, TypeVar

from orn.shared.errors import PipelineError
from orn.shared.escaped_text import use_lines_in_worker

T = TypeVar("T")
R = TypeVar("R")

_POLL_SECONDS = 0.5
_AHEAD = 2
"""Number of submitted tasks per worker: one running and one waiting."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_SECONDS = 0.01
"""Delay before a lost interruption is raised again."""
_is_active = False
"""Whether a block is running in the main thread."""
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
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe is closed, even if the parent was killed."""
    lifeline.poll(None)
    os._exit(1)


def _do(task: Any) -> Any:
    return _work(task)


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM; handlers of Ctrl-C also handle it."""


@contextmanager
def interrupts_delayed() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block; processes that it starts never receive
    Ctrl-C, not even while they import modules, when they would print a traceback."""
    due: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # other threads can get the signals
        for number in INTERRUPTS:
            handlers[number] = signal.signal(number, lambda number, _: due.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for interrupt, handler in handlers.items():
            signal.signal(interrupt, handler)
        for interrupt in due[:1]:
            signal.raise_signal(interrupt)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM while the block runs.

    A second SIGTERM is ignored. If Python swallows the exception, because the signal arrived in a
    weak reference callback or in `__del__`, it is raised again. Nested blocks and blocks outside
    the main thread have no effect.
    """
    global _is_active
    if _is_active or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    def lost(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Terminated):
            previous_hook(unraisable)
            return
        signal.signal(signal.SIGTERM, interrupt)
        again.append(threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM)))
        again[-1].start()

    again: list[threading.Timer] = []
    previous = signal.signal(signal.SIGTERM, interrupt)
    previous_hook, sys.unraisablehook = sys.unraisablehook, lost
    _is_active = True
    try:
        yield
    finally:
        _is_active = False
        sys.unraisablehook = previous_hook
        for timer in again:
            timer.cancel()
        signal.signal(signal.SIGTERM, previous)
