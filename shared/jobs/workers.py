"""Tasks done in processes of this machine, which end when they are not wanted any more."""

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
from orn.shared.jobs.termination import terminated_as_interrupted

T = TypeVar("T")
R = TypeVar("R")

_POLL_SECONDS = 0.5
_AHEAD = 2
"""Tasks handed out for each worker: the one it is at, and one that waits for it."""

_THREADS = 32
_AT_ONCE = 16
"""Tasks that a thread is given at a time."""

_work: Callable[[Any], Any]
"""What a worker process does to each task."""


def in_threads(work: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    """What `work` makes of each task, in their order.

    By threads, for tasks that mostly wait: a cluster's storage takes a millisecond to say how large
    a file is. An error ends all.
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
    """Each task with what `work` makes of it, as they come; one worker is this process itself.

    Workers are spawned, never forked, and leave signals to this process. If anything raises here,
    ctrl-C and SIGTERM included, or this process ends, they end at once, whatever they are at.

    Args:
        work: called with one task; must survive pickling, which happens once a worker.
        tasks: what is to be done; each must survive pickling.
        workers: most processes.
        lost: raised if a worker ends abruptly; says what that means and what to do.
        tick: called now and then while results are awaited.
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
    """Makes a worker ready: signals are left to its parent, which may send it none in the end."""
    global _work
    _work = work
    use_lines_in_worker()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """Ends this process when the other end of the pipe is closed, as the death of its holder
    does."""
    lifeline.poll(None)
    os._exit(1)


def _do(task: Any) -> Any:
    return _work(task)
