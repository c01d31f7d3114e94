"""SIGTERM, with which clusters and service managers end a job, as an orderly end."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_SECONDS = 0.01
"""After which an interruption that was lost is tried again."""
_is_active = False
"""Whether a block runs in the main thread."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM; whatever handles ctrl-C handles this."""


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Raises `Terminated` on SIGTERM while the block runs, so that the block ends orderly.

    A second SIGTERM changes nothing. Where Python swallows the exception, since the signal arrived
    in a callback of a weak reference or a `__del__`, it is raised again. Inside another such block,
    and outside the main thread, to which Python hands signals, the block just runs.
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
