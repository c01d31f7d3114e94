import os
import signal
import threading
import weakref

import pytest

from orn.shared.jobs.termination import Terminated, terminated_as_interrupted


def test_a_block_in_a_block_leaves_a_second_sigterm_ignored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    cleaned = False
    with pytest.raises(Terminated), terminated_as_interrupted():
        try:
            with terminated_as_interrupted():
                os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # between the ends of the two
            with terminated_as_interrupted():
                os.kill(os.getpid(), signal.SIGTERM)
            cleaned = True
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.timeout(60)
def test_an_interruption_that_a_callback_swallows_comes_again() -> None:
    class Thing:
        pass

    before = signal.getsignal(signal.SIGTERM)
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    survived = False
    with pytest.raises(Terminated), terminated_as_interrupted():
        del thing  # Python drops what is raised in the callback
        survived = True
        threading.Event().wait(30)
    assert survived
    assert reference() is None
    assert signal.getsignal(signal.SIGTERM) is before
