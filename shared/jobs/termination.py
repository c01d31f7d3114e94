"""Orderly termination on SIGTERM, which clusters and service managers send."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_SECONDS = 0.01
"""Delay before a lost interruption is raised again."""
_is_active = False
"""Whether a block is running in the main thread."""


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM; handlers of Ctrl-C also handle it."""


@contextmanager
def interrupts_delayed() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block; processes that it starts never receive it, not even
    while they import modules, when they would print a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
