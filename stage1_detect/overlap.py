"""Running steps of a pipeline beside each other, in order and with bounded memory."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["InOrder", "prefetch"]

T = TypeVar("T")

_POLL_SECONDS = 0.1
"""How often a thread that waits for room looks whether anybody still wants its items."""

# Threads stay, idle, for the next unit: the C library keeps what each thread has freed for that
# thread, so that memory would grow from unit to unit if each had new ones.
_BACKGROUND = ThreadPoolExecutor(max_workers=1, thread_name_prefix="in-order")
_PREFETCHING = ThreadPoolExecutor(max_workers=8, thread_name_prefix="prefetch")


class _End:
    """Closes the queue; carries the error that ended the items, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(items: Iterable[T], *, size: int) -> Generator[T]:
    """The items, made in a thread of their own, at most `size` ahead of the one that is taken.

    An error while making an item is raised here when its turn comes. The generator must be closed,
    as leaving it by an error does, or used up: that frees the thread.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(maxsize=size)
    unwanted = threading.Event()

    def put(item: T | _End) -> None:
        while not unwanted.is_set():
            try:
                waiting.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                put(item)
                if unwanted.is_set():
                    return
        except BaseException as err:  # handed to the thread that takes the items
            error = err
        put(_End(error))

    task = _PREFETCHING.submit(work)
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        wait([task])


class InOrder:
    """Context manager that makes calls in one other thread, in the order given.

    At most `size` calls wait; `do` blocks while they do. The first call that raises ends the work:
    its error is raised by a later `do` or at the end of the block, and no call after it is made.
    If the block itself raises, calls that have not begun are dropped.

    All calls of a process are made in one thread.
    """

    def __init__(self, *, size: int) -> None:
        """Starts no thread yet."""
        self._size = size
        self._calls: deque[Future[Any]] = deque()
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Waits for the calls; raises the error of the first that failed."""
        try:
            while error_type is None and self._calls:
                self._calls.popleft().result()
        finally:
            for call in self._calls:
                call.cancel()
            wait(self._calls)

    def do(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Has `function` called with these arguments after all calls given before."""
        self._calls.append(_BACKGROUND.submit(self._call, function, args, kwargs))
        while len(self._calls) > self._size:
            self._calls.popleft().result()

    def _call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self._failed:
            return
        try:
            function(*args, **kwargs)
        except BaseException:
            self._failed = True
            raise
