"""Seconds of two ways to do the same, measured in turns."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["seconds_in_turns", "using_threads"]


def seconds_in_turns(
    *ways: Callable[[], object], repeats: int, warm_ups: int = 1
) -> tuple[float, ...]:
    """Median seconds of each way.

    The ways take turns, so that a machine that gets slower or faster meanwhile does so for all.

    Args:
        ways: what to measure; results are thrown away.
        repeats: measurements of each, at least 1.
        warm_ups: calls of each beforehand that do not count.
    """
    for _ in range(warm_ups):
        for way in ways:
            way()
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for row, way in zip(seconds, ways, strict=True):
            began = time.perf_counter()
            way()
            row.append(time.perf_counter() - began)
    return tuple(statistics.median(row) for row in seconds)


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Lets torch compute with so many threads inside the block."""
    import torch  # other benchmarks do without

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
