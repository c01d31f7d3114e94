"""The bounds of hostile files are bounds: too much memory, no end and a crash each fail a test."""

import os
import time

import pytest

from orn.shared.errors import ShardFormatError
from tests.bounded import bounded


def test_what_a_reader_gives_or_raises_comes_back() -> None:
    assert bounded(divmod, 7, 2) == (3, 1)
    with pytest.raises(ShardFormatError, match="no shard"):
        bounded(_refuse, "no shard")


def test_memory_and_crashes_fail_the_test_alone() -> None:
    with pytest.raises(AssertionError, match=r"needed 1\d{3} MiB"):
        bounded(_fill, 1100 << 20)
    with pytest.raises(MemoryError):
        bounded(_fill, 1 << 40)
    with pytest.raises(pytest.fail.Exception, match="exit code 7"):
        bounded(os._exit, 7)


def test_a_reader_without_end_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bounded._SECONDS", 0.5)
    with pytest.raises(pytest.fail.Exception, match="had not ended"):
        bounded(time.sleep, 1000)


def _refuse(message: str) -> None:
    raise ShardFormatError(message)


def _fill(size: int) -> int:
    content = b"\x01" * size
    return len(content)
