import os
import signal

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
