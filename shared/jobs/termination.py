"""SIGTERM, with which clusters and service managers end a job, as an orderly end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "terminated_as_interrupted"]


_is_active = False
"""Whether a block runs in the main thread."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM; whatever handles ctrl-C handles this."""


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Raises `Terminated` on SIGTERM while the block runs, so that the block ends orderly.

    A second SIGTERM changes nothing. Inside another such block, and outside the main thread, to
    which Python hands signals, the block just runs.
    """
    global _is_active
    if _is_active or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    previous = signal.signal(signal.SIGTERM, interrupt)
    _is_active = True
    try:
        yield
    finally:
        _is_active = False
        signal.signal(signal.SIGTERM, previous)
