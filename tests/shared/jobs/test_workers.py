"""Workers do what they are given, and end when they are not wanted any more."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from orn.shared.errors import DetectorError, PipelineError, VideoDecodeError
from orn.shared.jobs.workers import (
    Terminated,
    in_workers,
    interrupts_delayed,
    terminated_as_interrupted,
)

pytestmark = pytest.mark.timeout(120)

LOST = DetectorError("a worker is lost; use fewer")


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_with_its_result(workers: int) -> None:
    results = dict(in_workers(square, range(9), workers=workers, lost=LOST))
    assert {task: result for task, (result, _) in results.items()} == {n: n**2 for n in range(9)}
    assert (os.getpid() in {process for _, process in results.values()}) == (workers == 1)


def refuse(number: int) -> None:
    raise VideoDecodeError(f"no {number}")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_is_raised_as_it_is(workers: int) -> None:
    with pytest.raises(VideoDecodeError, match=r"no \d"):
        list(in_workers(refuse, range(4), workers=workers, lost=LOST))


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_is_told_in_words() -> None:
    with pytest.raises(PipelineError) as caught:
        list(in_workers(die, range(4), workers=2, lost=LOST))
    assert caught.value is LOST


def tell_and_wait(folder: Path) -> str:
    """Says which process it is in; every second task never ends."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    (folder / f"{os.getpid()}").write_text(str(handlers == [signal.SIG_IGN] * 2))
    if folder.name == "ends":
        return "done"
    time.sleep(1000)
    return "never"


def is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("way", ["interrupt", "forgotten"])
def test_workers_end_at_once(tmp_path: Path, way: str) -> None:
    folders = [tmp_path / "ends", tmp_path / "lasts"]
    for folder in folders:
        folder.mkdir()
    results = in_workers(tell_and_wait, folders, workers=2, lost=LOST)
    assert next(results) == (folders[0], "done")
    while not (lasting := list(folders[1].iterdir())):
        time.sleep(0.05)
    if way == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    else:
        results.close()  # type: ignore[attr-defined]
    assert not is_running(lasting[0].name)
    assert lasting[0].read_text() == "True"


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


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    reason="Ctrl-C is ignored where the tests were started, as behind & in a script",
)
def test_an_interrupt_is_delayed_whatever_other_threads_there_are() -> None:
    """A signal for the process goes to a thread that does not block it."""
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    passed = False
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_delayed():
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                passed = True
    finally:
        done.set()
        other.join()
    assert passed
