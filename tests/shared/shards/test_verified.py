"""Shards are verified once, wherever the record of it can be kept."""

import os
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from orn.shared.errors import ShardFormatError, ShardNotFoundError
from orn.shared.shards.verified import RECORD_NAME, record_verified, unverified, verify_all
from tests.shared.shards.conftest import spoilt, write_drawn


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "orn" / RECORD_NAME


@pytest.fixture
def shards(tmp_path: Path) -> tuple[Path, ...]:
    """Three shards of three videos."""
    paths = [tmp_path / "shards" / f"shard-{number:06d}.zarr.zip" for number in range(3)]
    for name, path in zip("abc", paths, strict=True):
        write_drawn(path, {name: (range(4), np.arange(4) / 10)})
    return tuple(paths)


def verify(paths: Sequence[Path]) -> int:
    """How many had to be verified."""
    bar = Mock()
    verify_all(unverified(paths), workers=1, bar=bar)
    return bar.advance.call_count


def test_each_shard_is_verified_once(shards: tuple[Path, ...]) -> None:
    assert verify(shards[:1]) == 1
    record_verified(shards[1])
    assert verify(shards) == 1
    assert verify(shards) == 0
    assert len((shards[0].parent / RECORD_NAME).read_text().splitlines()) == 3


def test_a_shard_that_changes_or_lies_elsewhere(shards: tuple[Path, ...], cache: Path) -> None:
    verify(shards)
    write_drawn(shards[1], {"d": (range(4), np.arange(4) / 10)})
    assert list(unverified(shards)) == [shards[1]]
    moved = shards[0].parent / "shard-000009.zarr.zip"
    shards[0].rename(moved)
    os.utime(moved, (1, 1))
    assert unverified([moved]) == {}
    assert not cache.exists()


def test_a_folder_that_cannot_be_written_to_is_remembered_elsewhere(
    shards: tuple[Path, ...], cache: Path
) -> None:
    (shards[0].parent / RECORD_NAME).mkdir()
    assert verify(shards) == 3
    assert len(cache.read_text().splitlines()) == 3
    assert verify(shards) == 0
    cache.unlink()
    cache.mkdir()
    assert verify(shards) == 3  # nothing can be remembered, and nothing breaks


def test_the_first_that_is_wrong_ends_it_and_is_named(shards: tuple[Path, ...]) -> None:
    spoilt(shards[1], "scores", 2, np.nan).replace(shards[1])
    message = r"shard-000001\.zarr\.zip: array 'scores': detection 2: .*found nan.*`orn verify "
    with pytest.raises(ShardFormatError, match=message):
        verify(shards)
    assert list(unverified(shards)) == list(shards[1:])


@pytest.mark.parametrize("text", ["rules-0 " + "a" * 64 + " x", "\0\xff", "rules-1 abc"])
def test_a_record_that_says_nothing_is_not_believed(shards: tuple[Path, ...], text: str) -> None:
    (shards[0].parent / RECORD_NAME).write_text(text)
    assert len(unverified(shards)) == 3


def test_a_record_that_is_a_link_is_not_written_through(
    shards: tuple[Path, ...], tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "canary").write_text("")
    (shards[0].parent / RECORD_NAME).symlink_to(tmp_path / "canary")
    assert verify(shards) == 3
    assert (tmp_path / "canary").read_text() == ""
    assert len(cache.read_text().splitlines()) == 3


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardNotFoundError, match="no such shard"):
        unverified([tmp_path / "s.zip"])
    os.mkfifo(tmp_path / "s.zip")
    with pytest.raises(ShardFormatError, match="which is a file, found none"):
        unverified([tmp_path / "s.zip"])
