"""What a worker process of a long job does apart from its work: it ends when its parent ends."""

import multiprocessing
import os
import signal
import threading

__all__ = ["prepare_worker"]


def prepare_worker() -> None:
    """Makes this process leave ctrl-C to its parent, and end when the parent does, however it ends.

    For the `initializer` of a process pool: the workers of a parent that was killed would otherwise
    wait for work for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
