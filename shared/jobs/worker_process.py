"""What a worker process of a long job does apart from its work: it ends when its parent ends."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence

__all__ = ["prepare_worker"]


def prepare_worker(*, ignore: Sequence[signal.Signals] = (signal.SIGINT,)) -> None:
    """Makes this process leave signals to its parent, and end when the parent ends, in any way.

    For the `initializer` of a process pool: the workers of a parent that was killed would otherwise
    wait for work for ever.

    Args:
        ignore: what is left to the parent. A terminal sends ctrl-C, and a cluster may send SIGTERM,
            to all processes of a job; a parent whose workers ignore SIGTERM has to kill them.
    """
    for number in ignore:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
