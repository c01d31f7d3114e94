"""The bounds of hostile files are bounds: too much memory, no end and a crash each fail a test."""

import os

import pytest

from tests.bounded import bounded


def test_memory_and_crashes_fail_the_test_alone() -> None:
    with pytest.raises(AssertionError, match=r"needed 1\d{3} MiB"):
        bounded(_fill, 1100 << 20)
    with pytest.raises(MemoryError):
        bounded(_fill, 1 << 40)
    with pytest.raises(pytest.fail.Exception, match="exit code 7"):
        bounded(os._exit, 7)


def _fill(size: int) -> int:
    content = b"\x01" * size
    return len(content)
