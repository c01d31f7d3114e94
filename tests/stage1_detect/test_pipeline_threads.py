import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from orn.stage1_detect.pipeline import InOrder, prefetch


def test_prefetch_gives_all_items_in_order() -> None:
    assert list(prefetch(range(50), size=3)) == list(range(50))
    assert list(prefetch([], size=1)) == []


def test_prefetch_runs_ahead_by_no_more_than_its_size() -> None:
    made: list[int] = []
    full = threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            if item == 3:  # one taken, two waiting, one in hand
                full.set()
            yield item

    with closing(prefetch(items(), size=2)) as taken:
        assert next(taken) == 0
        assert full.wait(10)
        assert len(made) == 4


def test_prefetch_raises_an_items_error_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("bad item")

    taken = prefetch(items(), size=5)
    assert next(taken) == 1
    with pytest.raises(ValueError, match="bad item"):
        next(taken)


def test_closing_prefetch_ends_the_making_and_frees_its_thread() -> None:
    ended = threading.Event()
    threads: set[int] = set()

    def items() -> Iterator[int]:
        try:
            while True:
                threads.add(threading.get_ident())
                yield 0
        finally:
            ended.set()

    for _ in range(3):
        ended.clear()
        taken = prefetch(items(), size=2)
        assert next(taken) == 0
        taken.close()
        assert ended.wait(10)
    assert len(threads) == 1


def test_calls_are_made_in_order_in_one_other_thread() -> None:
    done: list[int] = []
    threads: set[str] = set()

    def call(item: int) -> None:
        threads.add(threading.current_thread().name)
        done.append(item)

    with InOrder(size=2) as background:
        for item in range(20):
            background.do(call, item)
    assert done == list(range(20))
    assert len(threads) == 1
    assert threading.current_thread().name not in threads


def test_no_call_is_made_after_one_that_failed() -> None:
    done: list[int] = []

    def call(item: int) -> None:
        if item == 2:
            raise ValueError(f"call {item}")
        done.append(item)

    with pytest.raises(ValueError, match="call 2"), InOrder(size=10) as background:
        for item in range(6):
            background.do(call, item)
    assert done == [0, 1]


def test_an_error_in_the_block_drops_waiting_calls_and_stays_the_error() -> None:
    done: list[int] = []
    queued, begun = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        assert queued.wait(10)
        for _ in range(1000):  # until the calls behind this one are dropped
            if background._calls[-1].cancelled():
                return
            threading.Event().wait(0.01)

    with pytest.raises(KeyError, match="mine"), InOrder(size=10) as background:
        background.do(first)
        for item in range(4):
            background.do(done.append, item)
        assert begun.wait(10)
        queued.set()
        raise KeyError("mine")
    assert done == []


def test_one_thread_makes_the_calls_of_all_blocks() -> None:
    """A new thread each time would keep memory of its own, however often blocks end."""
    threads: set[int] = set()
    for _ in range(3):
        with InOrder(size=2) as background:
            background.do(lambda: threads.add(threading.get_ident()))
        with pytest.raises(KeyError), InOrder(size=2) as background:
            background.do(lambda: threads.add(threading.get_ident()))
            raise KeyError
    assert len(threads) == 1
