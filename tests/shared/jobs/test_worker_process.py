"""Workers end with their parent, however it ends."""

import signal
from multiprocessing import get_context
from multiprocessing.connection import wait

from shared.jobs.worker_process import prepare_worker


def _wait_for_ever(sender) -> None:
    prepare_worker(ignore=(signal.SIGINT, signal.SIGTERM))
    ignored = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    sender.send(ignored == [signal.SIG_IGN] * 2)
    get_context("spawn").Event().wait()


def _parent(sender) -> None:
    child = get_context("spawn").Process(target=_wait_for_ever, args=(sender,))
    child.start()
    child.join()


def test_a_worker_of_a_killed_parent_ends() -> None:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    parent = context.Process(target=_parent, args=(sender,))
    parent.start()
    assert receiver.poll(60)
    assert receiver.recv() is True
    parent.kill()
    parent.join()
    sender.close()  # the worker has the last copy: the pipe ends when the worker does
    assert wait([receiver], timeout=60) == [receiver]
    try:
        receiver.recv()
    except EOFError:
        return
    raise AssertionError("wanted the end of the pipe, found a message")
